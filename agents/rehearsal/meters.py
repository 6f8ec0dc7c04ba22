"""What the vendors' meters answer when their programs ask for plan and windows."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agents.rehearsal.accounts import (
    FIVE_HOURS_MINUTES,
    SEVEN_DAYS_MINUTES,
    Account,
    Meters,
    Window,
    credential,
)
from agents.rehearsal.scenario import Library, Limits

Json = dict[str, object]
_NAMES = {FIVE_HOURS_MINUTES: "five_hour", SEVEN_DAYS_MINUTES: "seven_day"}


class MeterPages:
    """Routes for both vendors' meters, with and without a scenario in the address."""

    def __init__(self, library: Library, meters: Meters) -> None:
        self._library, self._meters = library, meters

    def routes(self) -> list[Route]:
        """All of them."""
        pages: dict[str, Callable[[Request], Json]] = {
            "/api/oauth/usage": self._oauth_usage,
            "/api/oauth/profile": self._oauth_profile,
            "/backend-api/wham/usage": self._wham_usage,
            "/backend-api/wham/accounts/check": self._accounts_check,
        }
        return [
            Route(f"{start}{path}", _page(answer))
            for path, answer in pages.items()
            for start in ("", "/s/{scenario}")
        ]

    def _oauth_usage(self, request: Request) -> Json:
        """Percentages and ISO times; a window that is not metered is null."""
        told: Json = dict.fromkeys(("five_hour", "seven_day", "seven_day_opus", "seven_day_sonnet"))
        for window in self._windows(request):
            resets_at = datetime.fromtimestamp(window.reset_at, UTC).isoformat()
            told[_NAMES[window.minutes]] = {"utilization": window.percent, "resets_at": resets_at}
        extra = {"is_enabled": False, "monthly_limit": None, "used_credits": None}
        return told | {"extra_usage": extra | {"utilization": None}, "limits": []}

    def _oauth_profile(self, request: Request) -> Json:
        """Whose login it is."""
        account = self._account(request)
        person = {"uuid": f"person-{account.email}", "full_name": "Rehearsal"}
        organisation = {
            "uuid": account.email.partition("@")[0],
            "name": f"{account.email}'s Organization",
            "organization_type": "claude_max",
            "rate_limit_tier": "default_claude_max_20x",
            "billing_type": "stripe_subscription",
        }
        return {"account": person | {"email": account.email}, "organization": organisation}

    def _wham_usage(self, request: Request) -> Json:
        """Whole percents, lengths in seconds; the slots are filled in the windows' order."""
        windows = self._windows(request)
        slots: list[Json | None] = [_slot(window) for window in windows]
        full = any(window.percent >= 100 for window in windows)
        primary, secondary = [*slots, None, None][:2]
        limit = {"allowed": not full, "limit_reached": full}
        return {
            "plan_type": self._account(request).plan,
            "rate_limit": limit | {"primary_window": primary, "secondary_window": secondary},
            "credits": {"has_credits": False, "unlimited": False, "balance": "0"},
        }

    def _accounts_check(self, request: Request) -> Json:
        """The one workspace that the login is for."""
        entry = {
            "id": credential(request.headers),
            "name": "Rehearsal",
            "plan_type": self._account(request).plan,
            "structure": "personal",
            # Not an address of ours, so that it is told and not gone to.
            "workspace_backend_origin": "https://rehearsal.invalid",
            "account_routing_override": "NO_CONSTRAINT",
            "profile_picture_url": None,
        }
        return {"accounts": [entry]}

    def _windows(self, request: Request) -> list[Window]:
        name = request.path_params.get("scenario", "auto")
        scenario = self._library.scenarios.get(name)
        default = scenario.limits if scenario else Limits()
        return self._meters.latest(credential(request.headers), default)

    def _account(self, request: Request) -> Account:
        return self._meters.accounts.get(credential(request.headers), Account())


def _page(answer: Callable[[Request], Json]) -> Callable[[Request], Response]:
    def page(request: Request) -> Response:
        if not credential(request.headers):
            return JSONResponse({"error": {"message": "Rehearsal: nobody is logged in"}}, 401)
        return JSONResponse(answer(request))

    return page


def _slot(window: Window) -> Json:
    return {
        "used_percent": int(window.percent),
        "limit_window_seconds": window.minutes * 60,
        "reset_after_seconds": max(0, window.reset_at - int(time.time())),
        "reset_at": window.reset_at,
    }
