"""How times, counts and rates are written."""

from datetime import UTC, datetime, timedelta

import pytest

from app.web import format as fmt

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minutes", "written"),
    [(0, "now"), (14, "14m"), (70, "1h10"), (124, "2h04"), (60 * 50, "2d"), (-5, "now")],
)
def test_it_writes_spans_short(minutes: int, written: str) -> None:
    assert fmt.ago(NOW - timedelta(minutes=minutes), NOW) == written


def test_it_says_when_something_returns() -> None:
    assert fmt.until(NOW + timedelta(minutes=72), NOW) == "13:12 UTC, in 1h12"
    assert fmt.until(NOW - timedelta(minutes=1), NOW) == "any moment now"
    assert fmt.until(None, NOW) == "at a time the vendor did not tell"


@pytest.mark.parametrize(
    ("number", "written"), [(0, "0"), (1234, "1,234"), (123_456, "123k"), (12_000_000, "12M")]
)
def test_it_writes_counts_short(number: int, written: str) -> None:
    assert fmt.count(number) == written


def test_a_sparkline_stays_inside_its_box() -> None:
    points = [point.split(",") for point in fmt.spark([0, 5, 900, 3]).split()]
    assert len(points) == 4
    assert all(0 <= float(x) <= 120 and 0 < float(y) < 24 for x, y in points)


@pytest.mark.parametrize(
    ("dollars", "said"),
    [
        (None, "?"),
        (0, "$0"),
        (0.001, "under $0.01"),
        (0.414, "$0.41"),
        (9.99, "$9.99"),
        (9.999, "$10"),
        (1234.4, "$1,234"),
        (1e9, "$1000M"),
    ],
)
def test_dollars_are_short(dollars: float | None, said: str) -> None:
    assert fmt.usd(dollars) == said


def test_a_moment_to_come_and_the_time_until_then() -> None:
    now = datetime(2026, 3, 5, 12, 30, tzinfo=UTC)
    hours = [timedelta(0), timedelta(hours=3, minutes=10), timedelta(days=1, hours=8)]
    assert [fmt.clock(now + span, now) for span in hours] == ["now", "15:40", "Fri 20:30"]
    assert fmt.clock(None, now) == "—"
    assert [fmt.left(span) for span in hours] == ["0m", "3h 10m", "1d 8h"]
    assert fmt.left(timedelta(minutes=-5)) == "0m"
