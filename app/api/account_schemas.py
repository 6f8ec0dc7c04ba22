"""What the JSON API shows of accounts, and what it takes of them."""

from datetime import datetime

from pydantic import Field

from app.api.schemas import Given, View


class QuotaWindowView(View):
    kind: str = Field(description="`five_hour`, `seven_day`, `requests_per_minute` ...")
    used_percent: float | None = Field(description="Null: it has reset since it was read.")
    elapsed_percent: float | None = Field(description="Of the window's time: the pace.")
    window_minutes: int | None
    resets_at: datetime | None
    is_refused: bool = Field(description="The vendor turns requests away for it.")
    is_stale: bool = Field(description="Read more than ten minutes ago.")
    source: str
    observed_at: datetime


class AccountView(View):
    name: str
    driver: str
    auth: str
    secret_env: str = Field(description="Name of the variable that holds the key; never the key.")
    config_dir: str
    base_url: str
    is_rehearsal: bool
    limited_until: datetime | None
    plan: str
    price_usd_month: float | None = Field(description="As said, else its plan's.")
    week_usd: float | None = Field(description="What a week of it holds, as the human says.")
    reserve_percent: float = Field(description="Of each budget, kept for the human's own use.")
    is_automatic: bool = Field(description="False: it is used by the human's hand only.")
    models: list[str] = Field(description="That may be used here; none named: any.")
    daily_cap_usd: float | None
    max_running: int | None
    rank: int
    login: str = Field(description="`in`, `out` or `unknown`.")
    login_problem: str
    identity: str
    credits: str
    probed_at: datetime | None = Field(description="When its vendor was asked last.")
    created_at: datetime
    closed: str = Field(description="Why it is given no work; empty: it is open.")
    spent_today_usd: float | None = Field(description="By our sessions, since 00:00 UTC.")
    windows: list[QuotaWindowView] = Field(
        [], description="What its meters told last; a window that was never reported is absent."
    )


class Rules(Given):
    plan: str | None = Field(None, description="As the vendor calls it, or any words.")
    price_usd_month: float | None = None
    week_usd: float | None = Field(None, description="What a week holds, at list price.")
    reserve_percent: float | None = Field(None, description="Of each budget, kept for you.")
    is_automatic: bool | None = Field(None, description="False: by your hand only.")
    models: list[str] | None = Field(None, description="That may be used here; empty: any.")
    daily_cap_usd: float | None = Field(None, description="A hard limit, from 00:00 UTC on.")
    max_running: int | None = Field(None, description="Sessions at the same time.")
    rank: int | None = Field(None, description="Your order, smallest first.")


class AccountGiven(Rules):
    name: str
    driver: str
    auth: str = "subscription"
    secret_env: str = ""
    config_dir: str = ""
    base_url: str = ""


class AccountChange(Rules):
    """What is left out stays; null lifts it."""

    secret_env: str | None = None
    config_dir: str | None = None
    base_url: str | None = None


class LoginView(View):
    command: str = Field(description="To be typed into a terminal by the human.")
    login: str = Field(description="What was known when it was shown.")
    identity: str
    watched_until: datetime = Field(description="Until then its login is looked for.")
