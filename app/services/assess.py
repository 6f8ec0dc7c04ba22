"""Assesses a merge request at each preflight, by rules: intent, care, sizes, risks."""

import statistics
from dataclasses import dataclass
from typing import Any

from app.errors import ConfigInvalid
from app.git.config import FILE_NAME, Care, RepositoryConfig, read_config
from app.models import MergeRequest, Task
from app.services.care import LEVELS, Reason, care
from app.services.change import Change, Risk
from app.services.comments import only_comments
from app.services.context import Context
from app.services.diffs import StoredDiff
from app.services.environment import email_of
from app.services.intent import intent
from app.services.risks import risks
from app.services.scene import RequestScene
from app.services.sides import binary_bytes, read_sides
from app.services.sizes import areas, languages, sizes, written_lines
from app.store import assessed, tasks

_ENOUGH_MERGED = 5  # to say what is usual


@dataclass(frozen=True)
class Assessment:
    """What the rules say of one head of a merge request."""

    intent: str
    care: Care
    care_reasons: tuple[Reason, ...]
    sizes: dict[str, dict[str, int]]
    risks: tuple[Risk, ...]
    languages: dict[str, int]
    areas: list[str]

    def write(self, request: MergeRequest) -> None:
        """Set the fields of the row; the caller has the transaction."""
        request.intent, request.care = self.intent, self.care
        request.care_reasons = [reason.row() for reason in self.care_reasons]
        request.risks = [risk.row() for risk in self.risks]
        request.sizes, request.languages = self.sizes, self.languages
        request.areas = self.areas


def of_request(ctx: Context, scene: RequestScene, base_sha: str, stored: StoredDiff) -> Assessment:
    """Assess a merge request by its diff, by the rules of the base; never in a page request."""
    request = scene.request
    with ctx.db.read() as db:
        task = tasks.get(db, request.task_id) if request.task_id is not None else None
        authors = assessed.authors(db, request)
        merged = assessed.merged_sizes(db, request.repository_id)
    change = Change(
        files=tuple(stored.files),
        commits=tuple(stored.commits),
        authors=frozenset(map(email_of, authors)),
        usual_lines=_usual(merged),
        sides=read_sides(scene.clones, stored.files),
        binary_bytes=binary_bytes(scene.clones, stored.files),
    )
    try:
        return assess(change, read_config(scene.clones, base_sha), request, task)
    except ConfigInvalid as error:  # nobody knows what it would have asked for
        also = (Reason("study", error.message, (FILE_NAME,)),)
        return assess(change, RepositoryConfig(), request, task, also)


def assess(
    change: Change,
    config: RepositoryConfig,
    request: MergeRequest,
    task: Task | None = None,
    also: tuple[Reason, ...] = (),
) -> Assessment:
    """Everything the rules say, and what asks for care besides; pure, and quick."""
    found = risks(change)
    paths = dict.fromkeys(path for file in change.files for path in (file.path, file.old_path))
    also += tuple(
        Reason(level, "asked for with the task") for level in LEVELS if task and task.care == level
    )
    level, reasons = care(config, paths, found, also=also, comments_only=only_comments(change))
    return Assessment(
        intent=intent(request.title, task.prompt if task else "", request.summary),
        care=level,
        care_reasons=reasons,
        sizes=sizes(change.files),
        risks=found,
        languages=languages(change.files),
        areas=areas(change.files),
    )


def _usual(merged: list[dict[str, Any]]) -> int | None:
    """The median of the lines that were written for what was merged."""
    if len(merged) < _ENOUGH_MERGED:
        return None
    return round(statistics.median(written_lines(sizes) for sizes in merged))
