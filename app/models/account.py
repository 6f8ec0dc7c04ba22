"""One login or key at a provider. Secrets never: only the name of their variable."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from app.models.base import json_field, optional_time_field, time_field


class Account(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    driver: str  # a driver id, plain text
    auth: str = "subscription"  # subscription | api_key | none
    secret_env: str = ""  # variable that holds key or token
    config_dir: str = ""  # the login's own directory
    base_url: str = ""  # "" = the vendor's own service
    is_rehearsal: bool = False
    limited_until: datetime | None = optional_time_field()  # a refused window returns then
    # -- the human's rules for it
    plan: str = ""  # an id of its driver's `Capabilities.plans`, or any words; "" = not known
    price_usd_month: float | None = None
    week_usd: float | None = None  # what the human says a week of it holds, at list price
    reserve_percent: float = 0.0  # of each budget, kept for the human's own use
    is_automatic: bool = True  # False: only by the human's hand
    models: list[str] = json_field(list)  # that may be used here; [] = any
    daily_cap_usd: float | None = None  # a key's hard limit from 00:00 UTC on
    max_running: int | None = None  # sessions at the same time; None: as many as there are
    rank: int = 0  # the human's order, smallest first
    # -- what the vendor's own program said when it was asked last
    identity: str = ""  # who is logged in
    login: str = "unknown"  # unknown | in | out
    login_problem: str = ""  # one sentence with the way out
    credits: str = ""  # the vendor's words on credits and banked resets
    probed_at: datetime | None = optional_time_field()
    created_at: datetime = time_field()
