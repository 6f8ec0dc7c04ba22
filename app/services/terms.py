"""The terms of a task: when, after what, with which models, on whose account, how looked at."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlmodel import Session as Orm

from app.errors import Invalid, NotFound
from app.models import Task
from app.models.base import utc_now
from app.services.account_rules import model_names
from app.services.accounts import existing
from app.store import accounts, tasks

HIGHEST = 9  # priorities go from -9 to 9
CARES = ("", "glance", "read", "study")
LABEL_CHARS = 40


@dataclass(frozen=True)
class Terms:
    """What a task may ask for besides its words; the defaults ask for nothing."""

    priority: int = 0  # higher first
    deadline_at: datetime | None = None
    is_deferrable: bool = False  # only for quota that would expire unused
    after: tuple[int, ...] = ()  # tasks that must be done before
    models: tuple[str, ...] = ()  # that may do it; none named: any
    may_overflow: bool = False  # may be paid by use, on a key
    account: str | None = None  # only this one
    label: str = ""  # the kind of work, in the human's word
    care: str = ""  # its review asks for at least this: glance, read or study


NAMES = tuple(field.name for field in fields(Terms))


def set_terms(db: Orm, task: Task, terms: Terms) -> None:
    """Check the terms and put them on the row; Invalid or NotFound says what to mend."""
    if not -HIGHEST <= terms.priority <= HIGHEST:
        raise Invalid(f"Priority {terms.priority} is out of range: take -{HIGHEST} to {HIGHEST}.")
    task.priority = terms.priority
    task.deadline_at = _deadline(terms.deadline_at, task.deadline_at)
    task.is_deferrable, task.may_overflow = terms.is_deferrable, terms.may_overflow
    task.models = model_names(terms.models)
    task.after = _after(db, task, terms.after)
    task.wanted_account_id = _account(db, terms.account)
    task.label, task.care = _label(terms.label), _care(terms.care)


def of(db: Orm, task: Task) -> dict[str, Any]:
    """The terms of a row, by the names of `Terms`."""
    account = accounts.get(db, task.wanted_account_id) if task.wanted_account_id else None
    own = {name: getattr(task, name) for name in NAMES if name != "account"}
    return own | {"account": account.name if account else None}


def _label(label: str) -> str:
    """One spelling for each, so that the record is not kept twice."""
    plain = " ".join(label.lower().split())
    if len(plain) > LABEL_CHARS:
        raise Invalid(f"The label is longer than {LABEL_CHARS} characters; a word or two will do.")
    return plain


def _care(care: str) -> str:
    if care not in CARES:
        raise Invalid(f"{care[:20]!r} is no care: take glance, read or study, or none.")
    return care


def _deadline(wanted: datetime | None, known: datetime | None) -> datetime | None:
    if wanted is None or wanted == known:
        return wanted
    if wanted.tzinfo is None:
        raise Invalid("The deadline has no time zone; write it as 2030-01-31T17:00:00Z.")
    if wanted <= utc_now():
        raise Invalid(f"The deadline {wanted:%Y-%m-%d %H:%M %Z} is over already.")
    return wanted


def _after(db: Orm, task: Task, ids: Iterable[int]) -> list[int]:
    """The tasks it waits for; none that waits for it in turn."""
    wanted = list(dict.fromkeys(ids))
    for first in wanted:
        if tasks.get(db, first) is None:
            raise NotFound(f"There is no task {first} to wait for; `quarterdeck task list`.")
    if task.id is not None and task.id in _before(db, wanted):
        raise Invalid(f"Task {task.id} would wait for itself: one of {wanted} waits for it.")
    return wanted


def _before(db: Orm, ids: Iterable[int]) -> set[int]:
    """These tasks and all that they wait for."""
    seen: set[int] = set()
    left = list(ids)
    while left:
        task_id = left.pop()
        task = tasks.get(db, task_id) if task_id not in seen else None
        seen.add(task_id)
        left += task.after if task else []
    return seen


def _account(db: Orm, name: str | None) -> int | None:
    return existing(db, name).id if name is not None else None
