"""`quarterdeck review pull`: a merge request becomes a pull request at the remote."""

import sys
import time
from typing import Annotated

import typer

from app import show
from app.cli.common import AsJson, connect

_LOOK_SECONDS, _LONGEST_SECONDS = 0.5, 120.0


def pull(
    review_id: Annotated[int, typer.Argument(help="The merge request's number.")],
    remote: Annotated[str | None, typer.Option(help="A remote of your repository.")] = None,
    json: AsJson = False,
) -> None:
    """Push its branch and open a pull request with `gh`; nothing is ever forced."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    with connect() as client:
        stands = client.post(f"/reviews/{review_id}/pull", remote=remote)
        while stands["state"] in ("queued", "running") and not stands["note"]:
            if time.monotonic() > deadline:
                break
            time.sleep(_LOOK_SECONDS)
            stands = client.get(f"/reviews/{review_id}/pull")
    if json:
        show.as_json(stands)
    else:
        show.line(stands["note"] or stands["pull_url"] or "It is still on its way.")
    if stands["state"] == "failed":
        sys.exit(1)
