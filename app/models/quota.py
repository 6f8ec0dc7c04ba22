"""Quota windows as an account's meters told them: the newest reading of each, and a history.

A window that was never reported has no row; it is never 0 %.
"""

from datetime import datetime

from sqlmodel import Field, SQLModel

from app.models.base import UtcDateTime, optional_time_field, time_field

SAMPLE_SECONDS = 300
BUDGET_MINUTES = 24 * 60  # from here on a window is a budget; below, a throttle
WEEK_MINUTES = 7 * 24 * 60


def slot_of(at: datetime) -> int:
    """The five minutes that a sample is of: unix time // SAMPLE_SECONDS."""
    return int(at.timestamp()) // SAMPLE_SECONDS


class QuotaReading(SQLModel, table=True):
    """The newest reading of one window of one account."""

    account_id: int = Field(primary_key=True, foreign_key="account.id")
    kind: str = Field(primary_key=True)  # five_hour, seven_day, requests_per_minute ...
    used_percent: float  # 0 to 100
    window_minutes: int | None = None
    resets_at: datetime | None = optional_time_field()
    status: str = "allowed"  # allowed | warning | rejected
    refused_until: datetime | None = optional_time_field()  # until then `rejected` holds
    source: str = ""
    observed_at: datetime = time_field()
    capacity_usd: float | None = None  # measured: what the whole window holds, at list price


class QuotaSample(SQLModel, table=True):
    """A window's last reading in each five minutes: what forecasts are made from."""

    account_id: int = Field(primary_key=True, foreign_key="account.id")
    kind: str = Field(primary_key=True)
    slot: int = Field(primary_key=True)  # unix time // SAMPLE_SECONDS
    observed_at: datetime = time_field()
    used_percent: float


class QuotaEnd(SQLModel, table=True):
    """How full a budget was when it reset: what expired unused is the rest."""

    account_id: int = Field(primary_key=True, foreign_key="account.id")
    kind: str = Field(primary_key=True)
    ended_at: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    used_percent: float  # the last reading before the end
    capacity_usd: float | None = None
