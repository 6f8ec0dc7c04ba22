"""The fold: the same records always give the same row, however they are cut into batches."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agents import events as ev
from agents.events import Record
from app.models import Session
from app.models.base import utc_now
from app.services.fold import Effects, fold

NOW = utc_now()


def folded(*events: ev.Event) -> tuple[Session, Effects]:
    session = Session(id="s", agent_id=1, task_id=1, account_id=1, driver="d", activity_at=NOW)
    effects = Effects()
    for seq, event in enumerate(events, 1):
        fold(session, Record(seq, NOW, event), 100 * seq, effects)
    return session, effects


CALL = ev.ToolCall("c1", "bash", "execute", "make test")
ASK = ev.PermissionRequested("q1", "execute", "bash", "rm -rf build")


def test_a_tool_call_is_a_tool_until_its_result() -> None:
    session, _ = folded(ev.TurnStarted("t"), CALL)
    assert (session.activity, session.last_line) == ("tool", "$ make test")
    session, _ = folded(ev.TurnStarted("t"), CALL, ev.ToolResult("c1"))
    assert session.activity == "decoding"


def test_a_question_waits_for_the_human_until_it_is_answered() -> None:
    session, effects = folded(ev.TurnStarted("t"), CALL, ASK)
    assert session.activity == "waiting_human"
    assert effects.asked == [ASK]
    session, _ = folded(ev.TurnStarted("t"), CALL, ASK, ev.PermissionResolved("q1", "allow"))
    assert session.activity == "tool"


def test_a_turns_end_voids_its_questions() -> None:
    session, effects = folded(ev.TurnStarted("t"), ASK, ev.TurnEnded("t", "interrupted"))
    assert session.activity == "idle"
    assert effects.asked == []
    assert effects.void_permissions


def test_a_limit_is_no_error() -> None:
    failed = ev.Failed("limit", "You have used up your window.")
    session, _ = folded(ev.TurnStarted("t"), failed, ev.TurnEnded("t", "limited"))
    assert (session.activity, session.pending_outcome) == ("waiting_quota", "limited")


def test_the_last_line_is_the_end_of_what_was_said() -> None:
    session, _ = folded(ev.Text("m", "First.\nSec"), ev.Text("m", "ond.\n\n", final=True))
    assert session.last_line == "Second."


def test_tokens_add_up_and_an_unknown_cost_stays_unknown() -> None:
    usage = ev.Usage("model", output_tokens=5, input_tokens=1, cache_read_tokens=100)
    session, effects = folded(usage, usage)
    assert (session.output_tokens, session.cache_read_tokens) == (10, 200)
    assert session.cost_usd is None
    ((key, counted),) = effects.usage.items()
    assert key == (0, "model", int(NOW.timestamp()) // 60)
    assert counted.output_tokens == 10


def test_a_meter_reading_is_handed_on_with_its_time() -> None:
    reading = ev.Quota([ev.QuotaWindow("five_hour", 40)])
    session, effects = folded(reading)
    assert effects.quota == [(0, NOW, reading)]
    assert session.activity == "waiting_slot"


EVENTS = st.lists(
    st.sampled_from(
        [
            ev.SessionStarted("c", "model"),
            ev.TurnStarted("t"),
            ev.UserMessage("u", "Go on."),
            ev.Text("m", "Some\nwords"),
            CALL,
            ev.ToolResult("c1"),
            ASK,
            ev.PermissionResolved("q1", "deny"),
            ev.Usage("model", output_tokens=3),
            ev.Quota([ev.QuotaWindow("five_hour", 40)]),
            ev.Retrying("overloaded", "Busy."),
            ev.Failed("auth", "No login."),
            ev.TurnEnded("t", "completed", "Done."),
            ev.Exited("crashed", 1, "It died."),
        ]
    ),
    max_size=60,
)


@given(EVENTS, st.integers(0, 60))
def test_batches_make_no_difference(events: list[ev.Event], cut: int) -> None:
    """A restart between any two records gives the row that no restart gives."""
    whole, _ = folded(*events)
    session = Session(id="s", agent_id=1, task_id=1, account_id=1, driver="d", activity_at=NOW)
    for seq, event in enumerate(events, 1):
        if seq == cut:  # what a restart leaves: the row as the database gives it back
            session.fold = msgspec.json.decode(msgspec.json.encode(session.fold))
        fold(session, Record(seq, NOW, event), 100 * seq, Effects())
    assert session.model_dump(exclude={"created_at"}) == whole.model_dump(exclude={"created_at"})
