"""The bounds of an API agent's loop, which the session's environment may set."""

import random

import msgspec

from agents.errors import VendorError

MAX_STEPS = 200
RETRIES, RETRY_SECONDS, MAX_RETRY_SECONDS = 6, 1.0, 60.0


class Settings(msgspec.Struct, frozen=True):
    """The loop's bounds; the session's environment may set them."""

    retries: int
    retry_seconds: float
    steps: int

    @classmethod
    def of(cls, env: dict[str, str]) -> "Settings":
        """Read from `QUARTERDECK_API_*`; raises VendorError(invalid) for what is no number."""
        try:
            return cls(
                int(env.get("QUARTERDECK_API_RETRIES", RETRIES)),
                float(env.get("QUARTERDECK_API_RETRY_SECONDS", RETRY_SECONDS)),
                int(env.get("QUARTERDECK_API_STEPS", MAX_STEPS)),
            )
        except ValueError as error:
            raise VendorError("invalid", f"A QUARTERDECK_API_ setting is wrong: {error}.") from None

    def delay_seconds(self, attempt: int) -> float:
        """How long to back off before retry number `attempt` (from 1)."""
        delay = min(self.retry_seconds * 2.0 ** (attempt - 1), MAX_RETRY_SECONDS)
        return delay * random.uniform(0.8, 1.2)  # many agents must not come back together
