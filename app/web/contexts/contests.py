"""Contests in words: `services.contest_look` with what only a page says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from app.services import contest_look
from app.services.contest_look import Contender, Side
from app.services.context import Context
from app.web import format as fmt
from app.web.contexts import row_words


@dataclass(frozen=True)
class Card(Contender):
    """A contender as its card shows it."""

    @property
    def todo(self) -> str:
        """What is still to be looked at before it can be picked."""
        return row_words.todo(self.gate) if self.gate is not None else ""

    @property
    def took(self) -> str:
        if self.seconds is None:
            return ""
        short = f"{self.seconds:.0f}s"
        return short if self.seconds < 60 else fmt.left(timedelta(seconds=self.seconds))

    @property
    def size(self) -> row_words.Size | None:
        return row_words.size(self.request) if self.request is not None else None


def one(ctx: Context, contest_id: int) -> Side:
    """The contest with its files; NotFound."""
    return _with_cards(contest_look.one(ctx, contest_id))


def listing(ctx: Context) -> list[Side]:
    """Open contests first, then the newest."""
    return [_with_cards(side) for side in contest_look.listing(ctx)]


def _with_cards(side: Side) -> Side:
    cards: Sequence[Contender] = [Card(**vars(each)) for each in side.contenders]
    return replace(side, contenders=cards)
