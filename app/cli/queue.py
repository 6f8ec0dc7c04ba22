"""`quarterdeck queue`: who waits for the base, and the trains that brought others there."""

from typing import Any

from app import show
from app.cli.common import AsJson, connect


def queue(json: AsJson = False) -> None:
    """Show the merge queue: who waits and why, then its trains, newest first."""
    with connect() as client:
        queue = client.get("/queue")
    if json:
        show.as_json(queue)
        return
    waiting = [(each["merge_request_id"], each["why"]) for each in queue["waiting"]]
    if waiting:
        show.table(("review", "waits"), waiting)
    columns = ("train", "into", "state", "reviews", "since", "why")
    show.table(columns, [_row(train) for train in queue["trains"]])


def _row(train: dict[str, Any]) -> tuple[object, ...]:
    return (
        train["id"],
        train["base_branch"],
        train["state"],
        ", ".join(f"#{step['merge_request_id']}" for step in train["steps"]),
        show.ago(train["created_at"]),
        train["state_reason"],
    )
