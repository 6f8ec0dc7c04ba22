"""`quarterdeck union`: several merge requests as one diff, one check, one approval."""

from typing import Annotated, Any

import typer

from app import show
from app.cli.common import AsJson, connect, group
from app.cli.review import print_diff

cli = group("union", "Several merge requests looked at and approved together.")
Id = Annotated[int, typer.Argument(help="The union's number.")]


@cli.command()
def make(
    review_ids: Annotated[list[int], typer.Argument(help="Merge requests, in merging order.")],
    json: AsJson = False,
) -> None:
    """Combine merge requests; their union is built and checked by the server."""
    with connect() as client:
        union = client.post("/unions", merge_request_ids=review_ids)
    if json:
        show.as_json(union)
        return
    show.line(f"Union {union['id']} is {union['state']}.")


@cli.command("list")
def list_(json: AsJson = False) -> None:
    """List the unions, newest first."""
    with connect() as client:
        unions = client.get("/unions")
    if json:
        show.as_json(unions)
        return
    rows = [
        (
            union["id"],
            union["state"],
            _numbers(each["merge_request_id"] for each in union["members"]),
            union["check"],
            show.ago(union["created_at"]),
            union["state_reason"],
        )
        for union in unions
    ]
    show.table(("id", "state", "of", "check", "age", "why"), rows)


@cli.command("show")
def show_(
    union_id: Id,
    diff: Annotated[bool, typer.Option("--diff/--no-diff", help="Print the diff.")] = True,
    json: AsJson = False,
) -> None:
    """Show what is in it, its check and its one diff. Printing it marks it seen."""
    with connect() as client:
        union = client.get(f"/unions/{union_id}")
        is_built = diff and bool(union["head_sha"])
        union["diff"] = client.get(f"/unions/{union_id}/diff") if is_built else None
        if json:
            show.as_json(union)
            return
        _facts(union)
        if union["diff"]:
            print_diff(union["diff"])
            client.post(f"/unions/{union_id}/seen")


@cli.command()
def tick(
    union_id: Id,
    paths: Annotated[list[str] | None, typer.Argument(help="Files; else all of them.")] = None,
    json: AsJson = False,
) -> None:
    """Say that you have read files of it; it counts for each merge request in it."""
    with connect() as client:
        union = client.post(f"/unions/{union_id}/seen", paths=paths or None, ticked=True)
    if json:
        show.as_json(union)
        return
    show.line(f"Ticked in union {union_id}: {', '.join(paths or ['all files'])}")


@cli.command()
def approve(union_id: Id, json: AsJson = False) -> None:
    """Approve all that is in it, or none, each as its care level asks."""
    with connect() as client:
        union = client.get(f"/unions/{union_id}")
        done = client.post(f"/unions/{union_id}/approve", head_sha=union["head_sha"])
    if json:
        show.as_json(done)
        return
    show.line(f"Approved: {_numbers(done['merge_request_ids']) or 'nothing new'}")


def _facts(union: dict[str, Any]) -> None:
    left = [f"#{each['merge_request_id']} {', '.join(each['paths'])}" for each in union["left"]]
    facts = {
        "union": f"{union['id']}, {union['state']}",
        "into": union["base_branch"],
        "in it": _numbers(step["merge_request_id"] for step in union["steps"]),
        "left out": "; ".join(left),
        "check": union["check"],
        "why": union["state_reason"],
        "at": union["head_sha"],
    }
    show.table(("", ""), [(name, value) for name, value in facts.items() if value])


def _numbers(ids: Any) -> str:
    return ", ".join(f"#{each}" for each in ids)
