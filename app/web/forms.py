"""Forms into values: an account's rules and a task's terms as the pages send them, as text."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Form

from app.errors import Invalid
from app.services.terms import Terms

_NUMBERS = {
    "price_usd_month": "The price",
    "week_usd": "What a week holds",
    "reserve_percent": "The reserve",
    "daily_cap_usd": "The daily cap",
}
_WHOLE = {"max_running": "The sessions at a time", "rank": "The rank"}


@dataclass
class Rules:
    """The fields of `accounts/_rules.html`; an empty one lifts its rule."""

    plan: Annotated[str, Form()] = ""
    price_usd_month: Annotated[str, Form()] = ""
    week_usd: Annotated[str, Form()] = ""
    reserve_percent: Annotated[str, Form()] = ""
    by_hand: Annotated[str, Form()] = ""
    models: Annotated[str, Form()] = ""
    daily_cap_usd: Annotated[str, Form()] = ""
    max_running: Annotated[str, Form()] = ""
    rank: Annotated[str, Form()] = ""

    def given(self) -> dict[str, Any]:
        """What was filled in, as values; Invalid names a field that is no number."""
        values: dict[str, Any] = {"is_automatic": not self.by_hand}
        if self.plan.strip():
            values["plan"] = self.plan.strip()
        if models := _words(self.models):
            values["models"] = models
        for field, what in {**_NUMBERS, **_WHOLE}.items():
            value = number(what, str(getattr(self, field)), whole=field in _WHOLE)
            if value is not None:
                values[field] = value
        return values

    def lifted(self) -> list[str]:
        """The rules that were left empty."""
        fields = ("plan", "models", *_NUMBERS, *_WHOLE)
        return [field for field in fields if not str(getattr(self, field)).strip()]


@dataclass
class TermsGiven:
    """The fields of `tasks/_terms_fields.html`."""

    priority: Annotated[str, Form()] = ""
    deadline: Annotated[str, Form()] = ""
    after: Annotated[str, Form()] = ""
    account: Annotated[str, Form()] = ""
    models: Annotated[str, Form()] = ""
    deferrable: Annotated[str, Form()] = ""
    overflow: Annotated[str, Form()] = ""
    label: Annotated[str, Form()] = ""
    care: Annotated[str, Form()] = ""

    def terms(self) -> Terms:
        """As a task wants them; Invalid names a field that cannot be read."""
        return Terms(
            priority=int(number("The priority", self.priority, whole=True) or 0),
            deadline_at=_time(self.deadline),
            is_deferrable=bool(self.deferrable),
            after=tuple(numbers("A task to wait for", self.after)),
            models=tuple(_words(self.models)),
            may_overflow=bool(self.overflow),
            account=self.account or None,
            label=self.label,
            care=self.care,
        )


def picked(choices: list[str] | None) -> list[tuple[int, str]]:
    """What was selected in the list ("12:SHA" each) as numbers and commits; Invalid for nothing."""
    if not choices:
        raise Invalid("Select at least one merge request.")
    found = []
    for choice in choices:
        text, _, head_sha = choice.partition(":")
        if not text.isdigit() or len(text) > 12:
            raise Invalid(f"{text[:20]!r} is no merge request.")
        found.append((int(text), head_sha))
    return found


def numbers(what: str, text: str) -> list[int]:
    """Ids as they are written, "#12, 14"; Invalid for anything else."""
    found = [number(what, word.lstrip("#"), whole=True) for word in _words(text)]
    return [int(each) for each in found if each is not None]


def _words(text: str) -> list[str]:
    """Words with commas or blanks between them."""
    return text.replace(",", " ").split()


def _time(text: str) -> datetime | None:
    """What a field for a time sends; it has no zone, and the page says UTC."""
    if not text.strip():
        return None
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(f"{text[:30]!r} is no time; write it as 2030-01-31T17:00.") from None


def number(what: str, text: str, *, whole: bool = False) -> float | None:
    """What was typed as a number; None for nothing, Invalid for anything else."""
    digits = text.strip().lstrip("$")
    if not digits:
        return None
    try:
        return int(digits) if whole else float(digits)
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise Invalid(f"{what} must be {kind}, not {digits[:20]!r}.") from None
