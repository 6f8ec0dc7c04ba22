"""One login or key at a provider. Secrets never: only the name of their variable."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from app.models.base import optional_time_field, time_field


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
    created_at: datetime = time_field()
