"""`quarterdeck contest`: one task to several agents or models; pick the best."""

from typing import Annotated, Any

import typer

from app import show
from app.cli.common import AsJson, connect, group, read_text
from app.cli.review import Head, full_head

cli = group("contest", "Best of N: one task to several agents or models, then pick one.")
Id = Annotated[int, typer.Argument(help="The contest's number.")]


@cli.command()
def start(
    title: Annotated[str, typer.Argument(help="One line.")],
    prompt: Annotated[str, typer.Option(help="The whole instruction; `-` reads it.")] = "",
    agent: Annotated[
        list[str] | None, typer.Option(help="Does it; given at least twice, or --model is.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="An agent of this model does it.")] = None,
    repository: Annotated[str | None, typer.Option(help="Needed where there are several.")] = None,
    base: Annotated[str | None, typer.Option(help="Branch to start from and merge into.")] = None,
    label: Annotated[str, typer.Option(help="The kind of work, for the record.")] = "",
    draft: Annotated[bool, typer.Option("--draft", help="Keep the tasks back.")] = False,
    json: AsJson = False,
) -> None:
    """Give one task to several; each works in a worktree and on a branch of its own."""
    with connect() as client:
        contest = client.post(
            "/contests",
            title=title,
            prompt=read_text(prompt),
            agents=agent or [],
            models=model or [],
            repository=repository,
            base_branch=base,
            label=label,
            draft=draft,
        )
    _said(contest, as_json=json)


@cli.command("list")
def list_(json: AsJson = False) -> None:
    """List the contests, open ones first."""
    with connect() as client:
        contests = client.get("/contests")
    if json:
        show.as_json(contests)
        return
    rows = [
        (each["id"], each["state"], each["title"], _who(each), show.ago(each["created_at"]))
        for each in contests
    ]
    show.table(("id", "state", "title", "who", "age"), rows)


@cli.command("show")
def show_(contest_id: Id, json: AsJson = False) -> None:
    """Show the contenders side by side."""
    with connect() as client:
        contest = client.get(f"/contests/{contest_id}")
    if json:
        show.as_json(contest)
        return
    show.line(f"Contest {contest['id']}, {contest['state']}: {contest['title']}")
    columns = ("review", "agent", "model", "state", "size", "check", "care", "cost", "tokens", "s")
    show.table(columns, [_row(each) for each in contest["contenders"]])


@cli.command()
def pick(
    contest_id: Id,
    review_id: Annotated[int, typer.Argument(help="The merge request to approve.")],
    head: Head = "",
    force: Annotated[bool, typer.Option("--force", help="Although its check failed.")] = False,
    json: AsJson = False,
) -> None:
    """Approve one of them; the others are archived, their branches kept."""
    with connect() as client:
        sha = full_head(client, review_id, head)
        given = {"merge_request_id": review_id, "head_sha": sha, "force": force}
        _said(client.post(f"/contests/{contest_id}/pick", **given), as_json=json)


@cli.command()
def undo(contest_id: Id, json: AsJson = False) -> None:
    """Take the pick back, as long as it has not landed."""
    with connect() as client:
        _said(client.post(f"/contests/{contest_id}/undo"), as_json=json)


@cli.command()
def cancel(contest_id: Id, json: AsJson = False) -> None:
    """Give the contest up; what was made is kept."""
    with connect() as client:
        _said(client.post(f"/contests/{contest_id}/cancel"), as_json=json)


def _row(each: dict[str, Any]) -> tuple[object, ...]:
    size = f"+{each['additions']} -{each['deletions']} in {each['files']}"
    cost = f"${each['cost_usd']:.2f}" if each["cost_usd"] is not None else "?"
    return (
        each["merge_request_id"],
        each["agent"],
        each["model"],
        "picked" if each["is_winner"] else each["state"],
        size if each["merge_request_id"] else "",
        each["check"],
        each["care"],
        cost,
        each["output_tokens"],
        round(each["seconds"]) if each["seconds"] is not None else "",
    )


def _who(contest: dict[str, Any]) -> str:
    return ", ".join(each["agent"] or each["model"] for each in contest["contenders"])


def _said(contest: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(contest)
    else:
        why = f" ({contest['reason']})" if contest["reason"] else ""
        show.line(
            f"Contest {contest['id']} is {contest['state']}{why}: "
            f"{contest['title']}; {_who(contest)}"
        )
