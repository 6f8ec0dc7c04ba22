"""The record: counts, honest intervals, where a model stands, one sentence."""

import pytest

from app.errors import Invalid
from app.services import record
from app.services.context import Context
from app.services.record import Counts, wilson
from tests.app import factories as make
from tests.app.web.judged import judge

OPUS, CODEX = "claude-opus-5-5", "gpt-6-codex"


@pytest.mark.parametrize(
    ("good", "total", "low", "high"),
    [(11, 14, 0.524, 0.924), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (1, 1, 0.207, 1.0)],
)
def test_the_interval_is_wilsons(good: int, total: int, low: float, high: float) -> None:
    found = wilson(good, total)
    assert (round(found.low, 3), round(found.high, 3)) == (low, high)


def test_nothing_judged_says_nothing() -> None:
    assert wilson(0, 0) == record.Interval(0.0, 1.0)
    assert (Counts().rate, Counts().says) == (None, "none judged yet")


def test_what_was_reverted_or_lost_is_told_apart(ctx: Context) -> None:
    repo, agent = make.repository(ctx), make.agent(ctx)
    judge(ctx, repo, agent, OPUS, label="tests")
    judge(ctx, repo, agent, OPUS, label="tests", is_reverted=True)
    judge(ctx, repo, agent, OPUS, "after_changes", label="tests", cost_usd=None)
    judge(ctx, repo, agent, OPUS, "rejected", label="tests", cost_usd=2.0)
    judge(ctx, repo, agent, OPUS, "not_picked", label="tests", cost_usd=1.0)
    with ctx.db.read() as db:
        counts = record.table(db).rows[(OPUS, "tests")].counts
    assert (counts.good, counts.judged, counts.kept) == (1, 4, 2)
    assert (counts.at_once, counts.reverted, counts.not_picked) == (2, 1, 1)
    assert counts.usd_per_kept == pytest.approx(0.8 + 0.8 + 2.0 + 1.0)
    assert counts.priced == 4


def test_strong_and_weak_only_where_the_interval_says_so(ctx: Context) -> None:
    repo, agent = make.repository(ctx), make.agent(ctx)
    for _ in range(12):
        judge(ctx, repo, agent, OPUS, label="tests")
        judge(ctx, repo, agent, CODEX, "rejected", label="tests")
    judge(ctx, repo, agent, CODEX, label="docs")
    with ctx.db.read() as db:
        rows = record.table(db, "label").rows
        by_area = record.table(db, "repository")
        with pytest.raises(Invalid, match="not by 'mood'"):
            record.table(db, "mood")
    assert rows[(OPUS, "tests")].standing == "strong"
    assert rows[(CODEX, "tests")].standing == "weak"
    assert rows[(CODEX, "docs")].standing == ""
    assert list(by_area.kinds) == [repo.slug]
    assert list(by_area.models) == [CODEX, OPUS]


def test_the_line_is_of_the_narrowest_kind_that_is_known(ctx: Context) -> None:
    repo, agent = make.repository(ctx), make.agent(ctx)
    for number in range(14):
        outcome = "at_once" if number < 11 else "rejected"
        judge(ctx, repo, agent, CODEX, outcome, label="resolver", area="src")
    judge(ctx, repo, agent, CODEX, "rejected", area="docs")
    with ctx.db.read() as db:
        narrow = record.line(db, CODEX, label="resolver")
        assert narrow == f"{CODEX} on resolver: 11 of 14 accepted at once (52\u201392 %)"
        assert "on docs: 0 of 1" in record.line(db, CODEX, label="new", area="docs")
        assert "all kinds of work: 11 of 15" in record.line(db, CODEX, language="cobol")
        assert "was judged yet" in record.line(db, OPUS)


def test_an_alias_means_the_model_that_worked(ctx: Context) -> None:
    repo, agent = make.repository(ctx), make.agent(ctx, model="opus")
    judge(ctx, repo, agent, OPUS, label="tests")
    with ctx.db.read() as db:
        assert record.line(db, "opus", label="tests").startswith(f"{OPUS} on tests: 1 of 1")
