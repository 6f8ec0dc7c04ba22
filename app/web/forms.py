"""Forms into values: an account's rules as the page's form sends them, all of them text."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Form

from app.errors import Invalid

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
        if models := [name for name in self.models.replace(",", " ").split() if name]:
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
