"""Session state as a fold over its journal: one record at a time, no input or output.

The same records always give the same row, so the row can be thrown away and rebuilt.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from agents import events as ev
from app.models import Session
from app.models.base import unix_minute

INDEX_EVERY = 64
_LINE_CHARS = 240
_NAME_CHARS = 200  # of a model or a conversation; a longer one is nonsense, and a key is bounded
_PASSING = ("throttle", "overloaded")
_WAITING = ("idle", "waiting_slot", "waiting_quota", "error")


@dataclass
class Effects:
    """What a batch of records changes outside its session's row."""

    asked: list[ev.PermissionRequested] = field(default_factory=list)
    resolved: dict[str, ev.PermissionResolved] = field(default_factory=dict)
    void_permissions: bool = False  # the turn is over: nobody waits for the answers
    account_id: int = 0  # which pays for the records that come now
    usage: dict[tuple[int, str, int], ev.Usage] = field(default_factory=dict)
    """By account, model and minute."""
    quota: list[tuple[int, datetime, ev.Quota]] = field(default_factory=list)
    """Account, when told, what."""
    activities: list[tuple[int, datetime, str]] = field(default_factory=list)
    """Sequence number, since when, which."""
    conversations: set[str] = field(default_factory=set)  # the vendor's ids
    index: list[tuple[int, int]] = field(default_factory=list)  # (seq, offset of the record)

    def void(self) -> None:
        """Nobody waits for an answer any more."""
        self.asked.clear()
        self.void_permissions = True


def fold(session: Session, record: ev.Record, offset: int, effects: Effects) -> None:
    """Apply one record, which starts at byte `offset` of the journal, to the row."""
    if (record.seq - 1) % INDEX_EVERY == 0:
        effects.index.append((record.seq, offset))
    session.seq = record.seq
    session.event_count += 1
    session.last_event_at = record.at
    before = session.activity
    _apply(session, record.event, record.at, effects)
    if session.activity != before:
        effects.activities.append((record.seq, record.at, session.activity))


def fruitless_turns(session: Session) -> int:
    """How many turns in a row a limit, a throttle or an overload ended, no model call answered."""
    return int(session.fold.get("fruitless", 0))


def _apply(session: Session, event: ev.Event, at: datetime, effects: Effects) -> None:
    """Beginnings, ends and failures; the work in between is `_apply_work`."""
    match event:
        case ev.SessionStarted():
            session.conversation_id = event.conversation_id or session.conversation_id
            session.model = event.model[:_NAME_CHARS] or session.model
            if 0 < len(event.conversation_id) <= _NAME_CHARS:
                effects.conversations.add(event.conversation_id)
            _forget(session, fruitless_turns(session))
            _become(session, "idle", at)
        case ev.TurnStarted():
            session.error = session.error_message = ""
            _forget(session, fruitless_turns(session))
            _become(session, "decoding", at)
        case ev.UserMessage() if session.activity in _WAITING:
            _become(session, "decoding", at)
        case ev.Retrying():
            session.last_line = _line(f"Backs off: {event.message}")
            _become(session, "waiting_quota" if event.error == "throttle" else "error", at)
        case ev.Failed():
            session.error, session.error_message = event.error, event.message
            session.last_line = _line(event.message)
            _become(session, "waiting_quota" if event.error == "limit" else "error", at)
        case ev.TurnEnded():
            effects.void()
            _end_turn(session, event, at)
        case ev.Exited():
            effects.void()
            _exit(session, event, at)
        case _:
            _apply_work(session, event, at, effects)


def _apply_work(session: Session, event: ev.Event, at: datetime, effects: Effects) -> None:
    match event:
        case ev.Text():
            _speak(session, event)
            _working(session, at)
        case ev.Thinking():
            _working(session, at)
        case ev.ToolCall():
            _open_call(session, event.call_id)
            session.last_line = _line(("$ " if event.tool == "execute" else "") + event.title)
            _working(session, at)
        case ev.ToolResult():
            session.touched_seq = session.seq
            _close_call(session, event.call_id)
            _working(session, at)
        case ev.PermissionRequested():
            effects.asked.append(event)
            session.fold = {**session.fold, "asks": [*_asks(session), event.request_id]}
            session.last_line = _line(f"Asks: {event.title}")
            _become(session, "waiting_human", at)
        case ev.PermissionResolved():
            effects.resolved[event.request_id] = event
            left = [ask for ask in _asks(session) if ask != event.request_id]
            session.fold = {**session.fold, "asks": left}
            _working(session, at)
        case ev.Usage():
            _count(session, event, at, effects)
        case ev.Quota():
            effects.quota.append((effects.account_id, at, event))
        case ev.Notice() if event.level != "info":
            session.last_line = _line(event.text)
        case _:
            pass


def _forget(session: Session, fruitless: int) -> None:
    """Nothing is open any more; only the count of fruitless turns goes on."""
    session.fold = {"fruitless": fruitless} if fruitless else {}


def _become(session: Session, activity: str, at: datetime) -> None:
    if session.activity != activity:
        session.activity, session.activity_at = activity, at


def _working(session: Session, at: datetime) -> None:
    """Decoding, in a tool, or still waiting for the human, by what is open."""
    if _asks(session):
        _become(session, "waiting_human", at)
    else:
        _become(session, "tool" if session.fold.get("calls") else "decoding", at)


def _asks(session: Session) -> list[str]:
    return list(session.fold.get("asks", []))


def _open_call(session: Session, call_id: str) -> None:
    session.fold = {**session.fold, "calls": [*session.fold.get("calls", []), call_id]}


def _close_call(session: Session, call_id: str) -> None:
    left = [call for call in session.fold.get("calls", []) if call != call_id]
    session.fold = {**session.fold, "calls": left}


def _speak(session: Session, event: ev.Text) -> None:
    """Keep the end of the current message: its last line is what the tile shows."""
    same = session.fold.get("speaking") == event.message_id
    said = (session.fold.get("said", "") if same else "") + event.text
    session.fold = {**session.fold, "speaking": event.message_id, "said": said[-_LINE_CHARS:]}
    lines = [line for line in said.splitlines() if line.strip()]
    if lines:
        session.last_line = _line(lines[-1])


def _count(session: Session, usage: ev.Usage, at: datetime, effects: Effects) -> None:
    session.output_tokens += usage.output_tokens
    session.input_tokens += usage.input_tokens
    session.cache_write_tokens += usage.cache_write_tokens
    session.cache_read_tokens += usage.cache_read_tokens
    if usage.cost_usd is not None:
        session.cost_usd = (session.cost_usd or 0.0) + usage.cost_usd
    if usage.output_tokens and fruitless_turns(session):
        session.fold = {key: kept for key, kept in session.fold.items() if key != "fruitless"}
    model = usage.model[:_NAME_CHARS] or session.model
    key = (effects.account_id, model, unix_minute(at))
    so_far = effects.usage.get(key, ev.Usage(model=model))
    effects.usage[key] = ev.Usage(
        model=model,
        output_tokens=so_far.output_tokens + usage.output_tokens,
        input_tokens=so_far.input_tokens + usage.input_tokens,
        cache_write_tokens=so_far.cache_write_tokens + usage.cache_write_tokens,
        cache_read_tokens=so_far.cache_read_tokens + usage.cache_read_tokens,
    )


def _end_turn(session: Session, event: ev.TurnEnded, at: datetime) -> None:
    session.turns += 1
    session.touched_seq = session.seq
    is_held_up = event.outcome == "limited" or (
        event.outcome == "failed" and (session.error or event.error) in _PASSING
    )
    _forget(session, fruitless_turns(session) + 1 if is_held_up else 0)
    session.summary = event.summary or session.summary
    session.pending_outcome = event.outcome
    session.pending_resets_at = _utc(event.resets_at)
    if event.outcome == "limited":
        _become(session, "waiting_quota", at)
    elif event.outcome == "failed":
        session.error = session.error or event.error or "crashed"
        _become(session, "error", at)
    else:
        _become(session, "idle", at)


def _exit(session: Session, event: ev.Exited, at: datetime) -> None:
    if event.reason == "crashed":
        session.error = session.error or "crashed"
        session.error_message = session.error_message or event.message
        _become(session, "error", at)


def _utc(told: datetime | None) -> datetime | None:
    """A time that a vendor told; without a zone it is UTC, beyond the calendar it is none."""
    if told is None or told.tzinfo is None:
        return told and told.replace(tzinfo=UTC)
    try:
        return told.astimezone(UTC)
    except OverflowError:
        return None


def _line(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return first.strip()[:_LINE_CHARS]
