"""Logs into the database: once, whatever happens to the files, to the import or to the names."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlmodel import select

from agents.meters.base import UsageRecord
from agents.meters.ledger import MemoryLedger
from agents.meters.specimen import write_specimen
from app.errors import Conflict
from app.models import Account, Conversation, LogFile, LoggedCall, OutsideMinute
from app.services import outside
from app.services.context import Context
from tests.app import factories as make

AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def row(number: int, session: str = "s", *, request: str = "r", side: bool = False) -> bytes:
    """A line of 2 ** number output tokens, so that a sum tells which lines were counted."""
    usage = f'{{"input_tokens":0,"output_tokens":{2**number}}}'
    return (
        f'{{"type":"assistant","timestamp":"2026-11-22T10:00:00Z","sessionId":"{session}",'
        f'"requestId":"{request}","isSidechain":{str(side).lower()},'
        f'"message":{{"id":"m{number}","model":"m","usage":{usage}}}}}\n'
    ).encode()


def rows(*numbers: int, session: str = "s") -> bytes:
    return b"".join(row(number, session) for number in numbers)


@pytest.fixture
def login(ctx: Context, tmp_path: Path) -> Account:
    return make.account(ctx, config_dir=str(tmp_path / "login"))


@pytest.fixture
def log(login: Account) -> Path:
    path = Path(login.config_dir) / "projects" / "-work" / "s.jsonl"
    path.parent.mkdir(parents=True)
    return path


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def read(ctx: Context, login: Account, seconds: float | None = None) -> outside.Imported:
    return outside.import_logs(ctx, login.id or 0, seconds=seconds)


def counted(ctx: Context, login: Account) -> int:
    with ctx.db.read() as db:
        minutes = db.exec(select(OutsideMinute).where(OutsideMinute.account_id == login.id))
        return sum(minute.output_tokens for minute in minutes)


def test_it_counts_by_model_and_minute(ctx: Context, login: Account, log: Path) -> None:
    log.write_bytes(rows(0, 1) + row(2).replace(b"10:00:00", b"10:01:30"))
    done = read(ctx, login)
    assert (done.is_finished, done.files, done.records, done.new_calls) == (True, 1, 3, 3)
    minute = int(AT.timestamp()) // 60
    with ctx.db.read() as db:
        found = [(m.model, m.minute, m.output_tokens) for m in db.exec(select(OutsideMinute))]
    assert found == [("m", minute, 3), ("m", minute + 1, 4)]


def test_a_second_import_reads_nothing(ctx: Context, login: Account, log: Path) -> None:
    log.write_bytes(rows(0, 1))
    read(ctx, login)
    assert (again := read(ctx, login)).bytes_read == again.files == 0
    append(log, rows(2))
    assert read(ctx, login).bytes_read == len(row(2))
    assert counted(ctx, login) == 7


def test_a_half_written_line_waits(ctx: Context, login: Account, log: Path) -> None:
    log.write_bytes(rows(0) + row(1)[:40])
    read(ctx, login)
    append(log, row(1)[40:])
    read(ctx, login)
    assert counted(ctx, login) == 3


def test_a_cut_or_rotated_file_is_not_counted_twice(
    ctx: Context, login: Account, log: Path
) -> None:
    log.write_bytes(rows(0, 1, 2))
    read(ctx, login)
    log.write_bytes(rows(0, 3))  # cut and written anew
    read(ctx, login)
    assert counted(ctx, login) == 15
    log.rename(log.with_name("s.1.jsonl"))
    log.write_bytes(rows(3, 4))
    read(ctx, login)
    assert counted(ctx, login) == 31


def test_a_deleted_file_keeps_its_count_and_loses_its_cursor(
    ctx: Context, login: Account, log: Path
) -> None:
    log.write_bytes(rows(0))
    read(ctx, login)
    log.unlink()
    assert read(ctx, login).problems == []
    with ctx.db.read() as db:
        assert db.exec(select(LogFile)).all() == []
    log.write_bytes(rows(0, 1))  # a backup is played back
    read(ctx, login)
    assert counted(ctx, login) == 3


def test_a_file_that_vanishes_during_the_import(
    ctx: Context, login: Account, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = log.with_name("t.jsonl")
    log.write_bytes(rows(0))
    other.write_bytes(rows(1))
    store, deleted = outside.store, list[str]()

    def store_and_delete(*given: object) -> int:
        if other.exists():
            other.unlink()
            deleted.append(str(other))
        return store(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(outside, "store", store_and_delete)
    monkeypatch.setattr(outside, "_FILES_AT_ONCE", 1)
    assert read(ctx, login).problems == []
    assert deleted
    assert counted(ctx, login) == 1


def test_a_missing_directory_is_said(ctx: Context, login: Account) -> None:
    done = read(ctx, login)
    assert "does not exist" in done.problems[0]
    assert done.is_finished


def test_what_is_no_file_is_left_alone(ctx: Context, login: Account, log: Path) -> None:
    log.write_bytes(rows(0))
    os.mkfifo(log.with_name("pipe.jsonl"))
    log.with_name("directory.jsonl").mkdir()
    log.with_name("gone.jsonl").symlink_to("/nowhere/at/all")
    (log.parent / os.fsdecode(b"\xff.jsonl")).write_bytes(rows(1))
    done = read(ctx, login)
    assert len(done.problems) == 2
    assert any("\\udcff" in problem for problem in done.problems)
    assert counted(ctx, login) == 1


def test_our_sessions_are_known_but_not_counted(ctx: Context, login: Account, log: Path) -> None:
    work = make.task(ctx, make.repository(ctx))
    ours = make.session(ctx, make.agent(ctx, login=login), work)
    make.save(ctx, Conversation(id="ours", session_id=ours.id))
    log.write_bytes(rows(0, 1, session="ours") + rows(2))
    # A copy of our call in somebody else's side conversation is our call still.
    append(log, row(1, "other", request="other", side=True))
    assert read(ctx, login).new_calls == 3
    assert counted(ctx, login) == 4


def test_what_our_agent_spawned_is_ours_too(ctx: Context) -> None:
    login = make.account(ctx)
    work = make.task(ctx, make.repository(ctx))
    ours = make.session(ctx, make.agent(ctx, login=login), work)
    make.save(ctx, Conversation(id="ours", session_id=ours.id))
    spawned = [("child", "ours"), ("grandchild", "child"), ("other", "stranger")]
    for name, parent in spawned:
        record = UsageRecord(AT, "m", name, f"k:{name}", output_tokens=5, spawned_by=parent)
        outside.store(ctx, login.id or 0, [record], {})
    assert counted(ctx, login) == 5
    with ctx.db.read() as db:
        kept = {row.id: row.session_id for row in db.exec(select(Conversation))}
    assert kept == dict.fromkeys(("ours", "child", "grandchild"), ours.id)


def test_a_session_known_late_is_taken_back(ctx: Context, login: Account, log: Path) -> None:
    log.write_bytes(rows(0, 1, session="ours") + rows(2))
    read(ctx, login)
    assert counted(ctx, login) == 7
    work = make.task(ctx, make.repository(ctx))
    ours = make.session(ctx, make.agent(ctx, login=login), work)
    make.save(ctx, Conversation(id="ours", session_id=ours.id))
    for _ in range(2):
        read(ctx, login)
        assert counted(ctx, login) == 4
    append(log, rows(3, session="ours"))
    read(ctx, login)
    assert counted(ctx, login) == 4


def test_two_accounts_with_one_directory_count_once(
    ctx: Context, login: Account, log: Path, tmp_path: Path
) -> None:
    log.write_bytes(rows(0, 1))
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "projects").symlink_to(log.parent.parent)
    second = make.account(ctx, "second", config_dir=str(tmp_path / "second"))
    third = make.account(ctx, "third", config_dir=login.config_dir + "/../login")
    assert "holds the logs of account" in read(ctx, second).problems[0]
    assert "holds the logs of account" in read(ctx, third).problems[0]
    read(ctx, login)
    assert [counted(ctx, account) for account in (login, second, third)] == [3, 0, 0]


def test_only_the_humans_own_login_has_the_default_directory(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    make.account(ctx, "key", auth="api_key")
    make.account(ctx, "rehearsed", is_rehearsal=True)
    make.account(ctx, "elsewhere", base_url="http://127.0.0.1:1")
    make.account(ctx, "script", driver="scripted")
    make.account(ctx, "gone", driver="a driver that is no more")
    own = make.account(ctx, "own")
    [place] = outside.places(ctx)
    assert (place.account.id, place.directory) == (own.id, tmp_path / ".claude")


def test_one_import_at_a_time(
    ctx: Context, login: Account, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write_bytes(rows(0))
    monkeypatch.setattr(outside, "_LOCK_SECONDS", 0.01)
    with outside._one_importer, pytest.raises(Conflict, match="already"):
        read(ctx, login)
    assert read(ctx, login).is_finished


@pytest.mark.parametrize("driver", ["claude_code", "codex"])
def test_it_goes_on_where_it_was_stopped(
    ctx: Context, tmp_path: Path, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "RECORDS_AT_ONCE", 7)
    written = write_specimen(driver, tmp_path / "login", 400_000)
    login = make.account(ctx, driver=driver, config_dir=str(tmp_path / "login"))
    steps = 1
    while not read(ctx, login, seconds=0).is_finished:
        steps += 1
    assert steps > 5  # as many as there are files
    assert counted(ctx, login) == written.output_tokens
    with ctx.db.read() as db:
        assert len(db.exec(select(LoggedCall)).all()) == written.calls


names = st.sampled_from([f"k{n}" for n in range(6)])
records = st.builds(
    lambda key, aliases, secondary, tokens, session, minute: UsageRecord(
        at=AT + timedelta(minutes=minute),
        model="m",
        session_id=session,
        key=key,
        aliases=tuple(aliases),
        is_secondary=secondary,
        output_tokens=tokens,
        input_tokens=tokens % 3,
    ),
    names,
    st.lists(names, max_size=2),
    st.booleans(),
    st.integers(1, 9),
    st.sampled_from(["ours", "theirs", "others"]),
    st.integers(0, 2),
)


def agrees_with_memory(ctx: Context, batches: Sequence[list[UsageRecord]]) -> None:
    """The same calls in the same order, and the sum of those that are not ours."""
    login = make.account(ctx, f"account {make.sha()}")
    memory = MemoryLedger()
    for batch in batches:
        memory.add(batch)
        outside.store(ctx, login.id or 0, batch, {})
    theirs = [record for record in memory.records if record.session_id != "ours"]
    assert counted(ctx, login) == sum(record.output_tokens for record in theirs)
    with ctx.db.read() as db:
        wanted = select(LoggedCall.id).where(LoggedCall.account_id == login.id)
        numbers = db.exec(wanted.order_by(LoggedCall.id)).all()  # type: ignore[arg-type]
        calls = outside.outside.calls(db, [number or 0 for number in numbers])
    kept = [calls[number or 0].record for number in numbers]
    facts = [(r.key, r.is_secondary, r.output_tokens, r.at, r.session_id) for r in kept]
    assert facts == [
        (r.key, r.is_secondary, r.output_tokens, r.at, r.session_id) for r in memory.records
    ]


@examples(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(records, max_size=8), max_size=6))
def test_the_database_agrees_with_memory(ctx: Context, batches: list[list[UsageRecord]]) -> None:
    with ctx.db.read() as db:
        is_known = db.get(Conversation, "ours")
    if is_known is None:
        work = make.task(ctx, make.repository(ctx))
        ours = make.session(ctx, make.agent(ctx), work)
        make.save(ctx, Conversation(id="ours", session_id=ours.id))
    agrees_with_memory(ctx, batches)
