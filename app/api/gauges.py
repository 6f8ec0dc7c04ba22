"""The gauges: what the house burns, where its quota windows land, where its leverage goes."""

from dataclasses import asdict
from datetime import datetime, timedelta

from fastapi import APIRouter, Query
from pydantic import Field

from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import View
from app.errors import NotFound
from app.models.base import utc_now
from app.services import gauges, waterfall
from app.services.gauges import Strip, WindowGauge
from app.store import accounts

router = APIRouter(route_class=ApiRoute, responses=RESPONSES)

_MINUTES = Query(180, ge=1, le=35 * 24 * 60, description="How far back.")
_BUCKET = Query(5, ge=1, le=1440, description="Minutes that are averaged.")
_HOURS = Query(24, ge=1, le=35 * 24, description="How far back.")
_WEEKS = Query(4, ge=1, le=5, description="How many weeks are laid over each other.")


class DryView(View):
    account: str
    kind: str
    at: datetime
    returns_at: datetime | None


class StripGaugesView(View):
    usd_per_hour: float | None = Field(
        description="At list price, of the last 15 minutes; null: no price is known."
    )
    usd_is_partial: bool = Field(description="Some of the models have no known price.")
    output_per_minute: float
    cache_read_percent: float | None
    expiring_usd: float | None = Field(
        description="Expires unused within 24 hours as forecast, beyond the reserve; null: unknown."
    )
    expiring_is_partial: bool
    expiring_account: str
    dry: DryView | None = Field(description="The first window to run dry before its reset.")
    parked: int
    resumes_at: datetime | None


class ForecastView(View):
    lands_percent: float | None = Field(description="Used at the reset; may exceed 100.")
    spread_percent: float | None = Field(description="Two of three landings are this near.")
    runs_dry_at: datetime | None
    dry_probability: float | None
    expires_usd: float | None = Field(
        description="Of a budget: unused at its reset beyond the reserve, at list price."
    )
    risk: str = Field(description="`ok`, `expires`, `dry` or `unknown`.")
    basis: str = Field(description="`pace`, `hours of the week`, or empty.")


class WindowGaugeView(View):
    kind: str
    scope: str = Field(description="What it is limited to; empty: all use.")
    used_percent: float | None = Field(description="Null: it has reset since it was read.")
    elapsed_percent: float | None
    window_minutes: int | None
    resets_at: datetime | None
    observed_at: datetime
    is_budget: bool = Field(description="A day or longer: what is left expires.")
    is_binding: bool = Field(description="The budget that the account's dollars are told from.")
    is_stale: bool
    is_refused: bool
    capacity_usd: float | None
    capacity_source: str = Field(description="`stated`, `measured`, `plan` or `unknown`.")
    forecast: ForecastView


class GaugesView(View):
    at: datetime
    strip: StripGaugesView
    windows: dict[str, list[WindowGaugeView]] = Field(description="By account.")


class AccountSeriesView(View):
    account: str
    output_per_minute: list[int]


class TokensView(View):
    starts: list[int] = Field(description="Unix seconds at which each bucket begins.")
    bucket_minutes: int
    accounts: list[AccountSeriesView]


class HeatView(View):
    hours: list[list[float | None]] = Field(
        description="Seven days, Monday first, of 24 hours in UTC: share of the capacity used."
    )


class LossView(View):
    cause: str
    who: str
    usd_per_hour: float
    says: str


class RungView(View):
    name: str
    usd_per_hour: float = Field(description="What is left of the capacity at this step.")
    percent_of_capacity: float
    lost_usd_per_hour: float
    who: str = Field(description="Who can do most about the loss of this step.")
    says: str
    losses: list[LossView]


class WaterfallView(View):
    rungs: list[RungView]
    measured_minutes: int
    left_out: list[str] = Field(description="Accounts whose capacity nobody knows.")
    partial: list[str] = Field(description="Accounts with models without a known price.")


@router.get("/gauges", tags=["gauges"], summary="The strip, and every window with its forecast")
def show_gauges(ctx: Ctx) -> GaugesView:
    now = utc_now()
    with ctx.db.read() as db:
        drawn = gauges.windows(db, now)
        facts = gauges.strip(db, now, drawn)
        names = {account.id or 0: account.name for account in accounts.every(db)}
    return GaugesView(
        at=now,
        strip=_strip(facts),
        windows={names[key]: [_window(one) for one in row] for key, row in drawn.items()},
    )


@router.get("/gauges/tokens", tags=["gauges"], summary="Output tokens a minute, by account")
def show_tokens(ctx: Ctx, minutes: int = _MINUTES, bucket_minutes: int = _BUCKET) -> TokensView:
    with ctx.db.read() as db:
        series = gauges.tokens(db, minutes=minutes, bucket_minutes=bucket_minutes, now=utc_now())
    rows = [
        AccountSeriesView(account=name, output_per_minute=row) for _, name, row in series.accounts
    ]
    return TokensView(starts=series.starts, bucket_minutes=series.bucket_minutes, accounts=rows)


@router.get("/gauges/heat", tags=["gauges"], summary="The week's hours and how full they were")
def show_heat(ctx: Ctx, account: str | None = None, weeks: int = _WEEKS) -> HeatView:
    with ctx.db.read() as db:
        known = accounts.by_name(db, account) if account is not None else None
        if account is not None and known is None:
            raise NotFound(f"There is no account {account!r}.")
        return HeatView(
            hours=gauges.heat(db, utc_now(), account_id=known.id if known else None, weeks=weeks)
        )


@router.get("/gauges/waterfall", tags=["gauges"], summary="Where the capacity went, and to whom")
def show_waterfall(ctx: Ctx, hours: int = _HOURS) -> WaterfallView:
    now = utc_now()
    with ctx.db.read() as db:
        return WaterfallView.model_validate(
            waterfall.measure(db, now - timedelta(hours=hours), now)
        )


def _strip(facts: Strip) -> StripGaugesView:
    given = asdict(facts) | {
        "usd_per_hour": facts.usd_per_hour.usd,
        "usd_is_partial": facts.usd_per_hour.is_partial,
    }
    return StripGaugesView.model_validate(given)


def _window(gauge: WindowGauge) -> WindowGaugeView:
    row = gauge.reading
    return WindowGaugeView(
        kind=row.kind,
        scope=gauge.scope,
        used_percent=gauge.used,
        elapsed_percent=gauge.elapsed,
        window_minutes=row.window_minutes,
        resets_at=row.resets_at,
        observed_at=row.observed_at,
        is_budget=gauge.is_budget,
        is_binding=gauge.is_binding,
        is_stale=gauge.is_stale,
        is_refused=gauge.is_refused,
        capacity_usd=gauge.capacity.usd,
        capacity_source=gauge.capacity.source,
        forecast=ForecastView.model_validate(gauge.forecast),
    )
