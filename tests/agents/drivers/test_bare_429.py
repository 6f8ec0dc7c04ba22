"""A 429 without any header: nothing says when, how long or how full. Both API agents."""

from pathlib import Path
from typing import Any

import pytest

from agents.events import Failed, Quota, Retrying
from tests.agents.drivers.api_cases import talking
from tests.agents.drivers.sse_server import error, serving
from tests.agents.drivers.test_anthropic_api import message, text
from tests.agents.drivers.test_openai_api import response

pytestmark = pytest.mark.usefixtures("git_worktree")

SAID = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
SAID |= {"content": [{"type": "output_text", "text": "At last.", "annotations": []}]}
USED = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
ANSWERS = {
    "anthropic_api": message(text("At last.")),
    "openai_api": response(SAID, usage=USED),
}
BODIES: list[Any] = [
    {"type": "error", "error": {"type": "rate_limit_error", "message": "Too many requests."}},
    {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"}},
    {},
    "Too Many Requests",
    None,
]


@pytest.mark.parametrize("driver_id", ANSWERS)
@pytest.mark.parametrize("body", BODIES, ids=str)
async def test_it_is_waited_out_in_place(driver_id: str, body: Any, tmp_path: Path) -> None:
    async with serving(error(429, body), ANSWERS[driver_id]) as server:
        base = server.url if driver_id == "anthropic_api" else f"{server.url}/v1"
        async with talking(driver_id, base, tmp_path) as live:
            assert (await live.turn()).outcome == "completed"
        [retry] = live.host.of(Retrying)
    assert retry.error == "throttle"
    assert 0 < retry.delay_seconds < 1  # our own pause, where the vendor names none


@pytest.mark.parametrize("driver_id", ANSWERS)
async def test_one_that_does_not_end_is_a_throttle_and_no_limit(
    driver_id: str, tmp_path: Path
) -> None:
    """No reset is invented, no window is said to be full, and the session can be used again."""
    async with serving(*[error(429, BODIES[0])] * 4, ANSWERS[driver_id]) as server:
        base = server.url if driver_id == "anthropic_api" else f"{server.url}/v1"
        async with talking(driver_id, base, tmp_path) as live:
            ended = await live.turn()
            assert (ended.outcome, ended.error, ended.resets_at) == ("failed", "throttle", None)
            [failed] = live.host.of(Failed)
            assert (failed.error, failed.resets_at, failed.retryable) == ("throttle", None, True)
            assert "429" in failed.message
            pauses = [retry.delay_seconds for retry in live.host.of(Retrying)]
            assert len(pauses) == 3
            assert pauses[2] > pauses[1] > pauses[0] > 0
            assert live.host.of(Quota) == []
            assert (await live.turn("go on")).outcome == "completed"
