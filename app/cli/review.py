"""`quarterdeck review`: merge requests, judged from the terminal."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app import show
from app.cli.common import AsJson, connect, group, read_text

if TYPE_CHECKING:
    from app.client import Client

cli = group("review", "What agents offer for merging, and your verdicts.")
Id = Annotated[int, typer.Argument(help="The merge request's number.")]
Head = Annotated[
    str, typer.Option(help="Commit you looked at; refused where the branch has moved on.")
]


@cli.command("list")
def list_(
    closed: Annotated[bool, typer.Option("--closed", help="Those that are decided.")] = False,
    json: AsJson = False,
) -> None:
    """List the open merge requests, the one to decide first in front."""
    with connect() as client:
        reviews = client.get("/reviews", closed=closed)
    if json:
        show.as_json(reviews)
        return
    rows = [
        (
            review["id"],
            review["state"],
            review["care"],
            review["title"],
            review["agent"],
            f"+{review['additions']} -{review['deletions']} in {review['files']}",
            review["check"],
            review["head_sha"][:12],
            ", ".join(str(each.get("path", "")) for each in review["conflicts"]),
        )
        for review in reviews
    ]
    columns = ("id", "state", "care", "title", "agent", "size", "check", "head", "conflicts")
    show.table(columns, rows)


@cli.command("show")
def show_(
    review_id: Id,
    diff: Annotated[bool, typer.Option("--diff/--no-diff", help="Print the diff.")] = True,
    json: AsJson = False,
) -> None:
    """Show one merge request with its diff; what was printed counts as seen."""
    with connect() as client:
        review = client.get(f"/reviews/{review_id}")
        review["diff"] = client.get(f"/reviews/{review_id}/diff") if diff else None
    if json:
        show.as_json(review)
        return
    _head(review)
    if review["diff"]:
        print_diff(review["diff"])
        with connect() as client:
            client.post(f"/reviews/{review_id}/seen", head_sha=review["diff"]["head_sha"])


@cli.command()
def since(review_id: Id, json: AsJson = False) -> None:
    """Show what its author changed since you last looked."""
    with connect() as client:
        diff = client.get(f"/reviews/{review_id}/since")
    if json:
        show.as_json(diff)
        return
    show.line(f"Since {diff['since_sha'][:12]}:")
    print_diff(diff)


@cli.command()
def tick(
    review_id: Id,
    paths: Annotated[list[str] | None, typer.Argument(help="Files; else all of them.")] = None,
    head: Head = "",
    untick: Annotated[bool, typer.Option("--untick", help="Take the ticks back.")] = False,
    json: AsJson = False,
) -> None:
    """Say that you have read files of it, as care level `study` asks."""
    with connect() as client:
        sha = full_head(client, review_id, head)
        known = client.get(f"/reviews/{review_id}/seen")
        wanted = paths or [file["path"] for file in known["files"]]
        verb = {"ticked": True} if not untick else {}
        place = "untick" if untick else "seen"
        known = client.post(f"/reviews/{review_id}/{place}", head_sha=sha, paths=wanted, **verb)
    if json:
        show.as_json(known)
        return
    show.table(("file", "seen"), [(file["path"], file["state"]) for file in known["files"]])


@cli.command()
def approve(
    review_id: Id,
    head: Head = "",
    force: Annotated[bool, typer.Option("--force", help="Although its check failed.")] = False,
    after: Annotated[
        list[int] | None, typer.Option(help="A merge request that has to land before it.")
    ] = None,
    when_checks_pass: Annotated[
        bool, typer.Option("--when-checks-pass", help="Wait for its check, though it failed now.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Approve it: it lands when the check of the merged tree passes."""
    conditions = {"after": after or [], "when_checks_pass": when_checks_pass}
    _decide(review_id, "approve", head, json, force=force, **conditions)


@cli.command()
def reject(
    review_id: Id,
    head: Head = "",
    reason: Annotated[str, typer.Option(help="For the record.")] = "",
    json: AsJson = False,
) -> None:
    """Reject it for good; the branch is kept."""
    _decide(review_id, "reject", head, json, reason=reason)


@cli.command("request-changes")
def request_changes(
    review_id: Id,
    body: Annotated[str, typer.Argument(help="What to change; `-` reads it.")] = "",
    head: Head = "",
    json: AsJson = False,
) -> None:
    """Send it back to its author's session, with all comments not sent yet."""
    _decide(review_id, "request-changes", head, json, body=read_text(body))


@cli.command()
def comment(
    review_id: Id,
    body: Annotated[str, typer.Argument(help="The comment; `-` reads it.")],
    path: Annotated[str, typer.Option(help="A file of the diff; else on the whole.")] = "",
    line: Annotated[int | None, typer.Option(help="A line of that file.")] = None,
    head: Head = "",
    json: AsJson = False,
) -> None:
    """Comment on it; the author gets it with the next `request-changes`."""
    with connect() as client:
        sha = full_head(client, review_id, head)
        noted = client.post(
            f"/reviews/{review_id}/comments",
            head_sha=sha,
            body=read_text(body),
            path=path,
            line=line,
        )
    if json:
        show.as_json(noted)
        return
    show.line(f"Commented on merge request {review_id} at {sha[:12]}.")


@cli.command()
def undo(review_id: Id, json: AsJson = False) -> None:
    """Take your verdict back; of a merged one, offer the revert as a merge request of its own."""
    with connect() as client:
        review = client.post(f"/reviews/{review_id}/undo")
    if json:
        show.as_json(review)
        return
    verb = "reverts it and is" if review["reverts_id"] == review_id else "is"
    show.line(f"Merge request {review['id']} {verb} {review['state']}")


def _decide(review_id: int, verb: str, head: str, json: bool, **body: Any) -> None:
    with connect() as client:
        sha = full_head(client, review_id, head)
        review = client.post(f"/reviews/{review_id}/{verb}", head_sha=sha, **body)
    if json:
        show.as_json(review)
        return
    show.line(f"Merge request {review_id} at {sha[:12]} is {review['state']}: {review['title']}")


def full_head(client: "Client", review_id: int, head: str) -> str:
    """The present head; Conflict where the one that was looked at is another."""
    from app.errors import Conflict

    present = str(client.get(f"/reviews/{review_id}")["head_sha"])
    if not present.startswith(head):
        raise Conflict(
            f"Merge request {review_id} is at {present[:12]} now, not at {head}; look again."
        )
    return present


def _head(review: dict[str, Any]) -> None:
    facts = {
        "merge request": f"{review['id']}, round {review['round']}, {review['state']}",
        "title": review["title"],
        "from": f"{review['branch']} at {review['head_sha']}",
        "into": review["base_branch"],
        "agent": review["agent"],
        "care": review["care"],
        "risks": ", ".join(risk["says"] for risk in review["risks"]),
        "check": review["check"],
        "why": review["state_reason"],
        "conflicts": ", ".join(str(each.get("path", "")) for each in review["conflicts"]),
        "landing": (review["landing"] or {}).get("note"),
    }
    show.table(("", ""), [(name, value) for name, value in facts.items() if value])
    show.line(f"\n{review['summary']}")
    for each in review["comments"]:
        where = f"{each['path']}:{each['line']} " if each["path"] else ""
        show.line(f"\n# {where}{'' if each['is_sent'] else '(not sent) '}{each['body']}")


def print_diff(diff: dict[str, Any]) -> None:
    """Commits, then each file with its lines."""
    for commit in diff["commits"]:
        show.line(f"\n{commit['sha'][:12]} {commit['subject']}")
    for file in diff["files"]:
        show.line(f"\n{file['status']} {file['path']} +{file['additions']} -{file['deletions']}")
        for hunk in file["hunks"]:
            show.line(f"@@ -{hunk['old_start']} +{hunk['new_start']} @@{hunk['header']}")
            for each in hunk["lines"]:
                show.line(f"{each['kind']}{each['text']}")
