"""Windows out of what meters tell, lies included."""

import math
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agents.drivers import claude_code_account, codex_account
from agents.drivers.codex_limits import Limits
from agents.drivers.readings import instant, minutes_of, number, window
from agents.events import Quota

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
IN_AN_HOUR = NOW + timedelta(hours=1)
STATUS = {"loggedIn": True, "email": "a@example.invalid", "subscriptionType": "max"}

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def rows(*names: str) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, junk))


claude_rows = rows("utilization", "resets_at")
codex_rows = rows("usedPercent", "windowDurationMins", "resetsAt")


def told(quota: Quota | None) -> bool:
    """Every window of it has a number that a meter may tell."""
    windows = quota.windows if quota else []
    return all(math.isfinite(row.used_percent) and row.used_percent >= 0 for row in windows)


@given(st.dictionaries(st.sampled_from(["five_hour", "seven_day", "seven_day_opus"]), claude_rows))
def test_claude_codes_meter_never_breaks_nor_makes_up_zero(limits: dict[str, object]) -> None:
    usage = {"rate_limits_available": True, "rate_limits": limits}
    report = claude_code_account.report(STATUS, usage, NOW)
    assert told(report.quota)
    for row in report.quota.windows if report.quota else []:
        said = limits[row.kind]
        assert isinstance(said, dict)
        assert number(said["utilization"]) == row.used_percent


@given(rows("five_hour", "model_scoped", "extra_usage", "seven_day"))
def test_claude_codes_meter_may_be_any_shape(limits: dict[str, object]) -> None:
    assert told(claude_code_account.report(STATUS, {"rate_limits": limits}, NOW).quota)
    assert told(claude_code_account.report({}, limits, NOW).quota)


@given(
    st.lists(
        rows("limitId", "rateLimitReachedType")
        | st.fixed_dictionaries({"primary": codex_rows | junk, "secondary": codex_rows | junk}),
        max_size=6,
    )
)
def test_codexs_updates_never_break_nor_make_up_zero(snapshots: list[dict[str, object]]) -> None:
    limits = Limits()
    for snapshot in snapshots:
        quota = limits.update(snapshot)
        assert told(quota)
        for row in quota.windows if quota else []:
            said = [snapshot.get(slot) for slot in ("primary", "secondary")]
            numbers = [number(one.get("usedPercent")) for one in said if isinstance(one, dict)]
            assert row.used_percent in numbers
    limits.resets_at()


@given(junk, junk, junk)
def test_codexs_replies_may_be_any_shape(main: object, by_id: object, rest: object) -> None:
    limits = {"result": {"rateLimits": main, "rateLimitsByLimitId": by_id, "credits": rest}}
    assert told(codex_account.report({"result": rest}, limits, "codex login", NOW).quota)


def test_a_window_that_is_over_or_without_a_number_is_absent() -> None:
    assert window("five_hour", None, 300, IN_AN_HOUR.isoformat(), NOW) is None
    assert window("five_hour", 40, 300, (NOW - timedelta(hours=1)).isoformat(), NOW) is None
    skewed = window("five_hour", 40, 300, (NOW - timedelta(seconds=30)).isoformat(), NOW)
    assert skewed is not None, "two clocks differ a little"
    idle = window("five_hour", 0, 300, None, NOW)
    assert idle is not None
    assert (idle.used_percent, idle.resets_at) == (0, None)


def test_units_are_told_apart() -> None:
    seconds = int(IN_AN_HOUR.timestamp())
    for said in (seconds, seconds * 1000, str(seconds), float(seconds), IN_AN_HOUR.isoformat()):
        assert instant(said) == IN_AN_HOUR
    assert instant(3600) is None, "a duration is no time"
    assert [minutes_of(said) for said in (300, 18_000, 604_800, 10_080, 43_200, 0, None)] == [
        *(300, 300, 10_080, 10_080, 43_200, None, None)
    ]


def test_claude_codes_windows_extra_usage_and_models() -> None:
    limits = {
        "five_hour": {"utilization": 31.0, "resets_at": IN_AN_HOUR.isoformat()},
        "seven_day": {"utilization": 95.0, "resets_at": IN_AN_HOUR.isoformat()},
        "seven_day_opus": None,
        "seven_day_sonnet": {"utilization": None, "resets_at": None},
        "model_scoped": [{"display_name": "Fable", "utilization": 100, "resets_at": None}],
        "extra_usage": {
            "is_enabled": True,
            "monthly_limit": 5000,
            "used_credits": 1234,
            "currency": "EUR",
        },
        "limits": [],
    }
    report = claude_code_account.report(
        {**STATUS, "planTier": "max_20x"}, {"rate_limits": limits}, NOW
    )
    assert report.quota is not None
    assert {row.kind: row.used_percent for row in report.quota.windows} == {
        "five_hour": 31,
        "seven_day": 95,
        "seven_day_fable": 100,
    }
    assert report.quota.status == "warning", "one model's week closes that model only"
    assert report.plan == "max_20x"
    assert report.credits == "extra usage 12.34 of 50.00 EUR this month"


def codex_reply(allowed: bool | None, **main: object) -> dict[str, object]:
    reset = int(IN_AN_HOUR.timestamp())
    primary = {"usedPercent": 100, "windowDurationMins": 300, "resetsAt": reset}
    snapshot = {"limitId": "codex", "primary": primary, "planType": "team", **main}
    spark = {"limitId": "codex_spark", "primary": primary, "secondary": None}
    return {
        "result": {
            "ordinaryUsageAllowed": allowed,
            "rateLimits": snapshot,
            "rateLimitsByLimitId": {"codex": snapshot, "codex_spark": spark},
            "rateLimitResetCredits": {"availableCount": 2, "credits": None},
        }
    }


def test_the_services_own_word_stands_above_percentages() -> None:
    credits = {"hasCredits": True, "unlimited": False, "balance": "12.50"}
    said = {
        allowed: codex_account.report({}, codex_reply(allowed, credits=credits), "", NOW)
        for allowed in (True, False, None)
    }
    statuses = {allowed: report.quota and report.quota.status for allowed, report in said.items()}
    assert statuses == {True: "warning", False: "rejected", None: "rejected"}
    report = said[True]
    assert report.quota is not None
    assert [row.kind for row in report.quota.windows] == ["five_hour", "five_hour_codex_spark"]
    assert (report.plan, report.credits) == ("business", "12.50 credits, 2 banked resets")
    assert (report.logged_in, report.identity) == (True, "")
