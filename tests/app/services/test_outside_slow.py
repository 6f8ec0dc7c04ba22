"""The import killed again and again, and on PostgreSQL."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.meters.base import UsageRecord
from agents.meters.specimen import write_specimen
from app import paths
from app.models import Conversation
from app.paths import Home
from app.services import outside, usage
from app.services.context import Context
from app.settings import Settings
from app.store.database import Database
from app.store.migrate import upgrade
from tests.app import factories as make
from tests.app.services.test_outside import agrees_with_memory, counted, read
from tests.test_migrations import throw_away_postgres

pytestmark = pytest.mark.slow

IMPORT = """
import sys
from pathlib import Path
from app.services import outside
from app.services.context import Context
from app.settings import Settings
from app.store.database import Database
outside.RECORDS_AT_ONCE = 20
settings = Settings(home=Path(sys.argv[1]))
ctx = Context(settings, Database(settings.database), lambda *_: None)
print("begun", flush=True)
outside.import_logs(ctx, int(sys.argv[2]))
"""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("driver", ["claude_code", "codex"])
def test_a_killed_import_loses_nothing_and_counts_nothing_twice(
    ctx: Context, tmp_path: Path, driver: str
) -> None:
    written = write_specimen(driver, tmp_path / "login", 12_000_000)
    login = make.account(ctx, driver=driver, config_dir=str(tmp_path / "login"))
    chance, kills = random.Random(driver), 0
    for _ in range(15):
        process = subprocess.Popen(
            [sys.executable, "-c", IMPORT, str(ctx.home.path), str(login.id)],
            env={**os.environ, "PYTHONPATH": str(paths.ROOT)},
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(chance.uniform(0.005, 0.12))  # where it is hit is what is tried
        process.send_signal(signal.SIGKILL)
        kills += process.wait(20) == -signal.SIGKILL
        process.stdout.close()
        if process.returncode == 0:
            break
    assert kills > 3
    assert read(ctx, login).is_finished
    assert counted(ctx, login) == written.output_tokens


@pytest.fixture
def postgres(home: Home) -> Iterator[Context]:
    with (
        tempfile.TemporaryDirectory(prefix="qd-pg-", ignore_cleanup_errors=True) as short,
        throw_away_postgres(Path(short)) as url,
    ):
        settings = Settings(home=home.path, port=0, database_url=url)
        settings.state.ensure()
        upgrade(settings.database)
        database = Database(settings.database)
        yield Context(settings, database, lambda *_: None)
        database.close()


def some_records(chance: random.Random) -> list[UsageRecord]:
    names = [f"k{number}" for number in range(7)]
    return [
        UsageRecord(
            at=datetime(2026, 11, 22, tzinfo=UTC) + timedelta(minutes=chance.randrange(3)),
            model="m",
            session_id=chance.choice(["ours", "theirs", "others"]),
            key=chance.choice(names),
            aliases=tuple(chance.choices(names, k=chance.randrange(3))),
            is_secondary=chance.random() < 0.5,
            output_tokens=chance.randrange(1, 9),
        )
        for _ in range(chance.randrange(9))
    ]


@pytest.mark.timeout(180)
def test_it_is_the_same_on_postgresql(postgres: Context, tmp_path: Path) -> None:
    work = make.task(postgres, make.repository(postgres))
    ours = make.session(postgres, make.agent(postgres), work)
    make.save(postgres, Conversation(id="ours", session_id=ours.id))
    for seed in range(80):
        chance = random.Random(seed)
        agrees_with_memory(postgres, [some_records(chance) for _ in range(chance.randrange(7))])
    for driver in ("claude_code", "codex"):
        place = tmp_path / driver
        written = write_specimen(driver, place, 3_000_000)
        login = make.account(postgres, f"of {driver}", driver=driver, config_dir=str(place))
        assert outside.import_logs(postgres, login.id or 0).new_calls == written.calls
        assert read(postgres, login).files == 0
        assert counted(postgres, login) == written.output_tokens


@pytest.mark.timeout(60)
def test_usage_is_told_the_same_on_postgresql(postgres: Context) -> None:
    work = make.task(postgres, make.repository(postgres), "One")
    session = make.session(postgres, make.agent(postgres, "maple"), work)
    make.usage(postgres, session, [3, 4])
    now = datetime.now(UTC)
    soon = now + timedelta(minutes=1)
    with postgres.db.read() as db:
        for by in usage.BYS:
            rows = usage.spent(db, by=by, since=now - timedelta(hours=2), until=soon)
            assert sum(row.output for row in rows) == 7
        assert usage.spent_today(db, now)[session.account_id] is None
        output, _ = usage.agent_today(db, session.agent_id, now)
        assert output in (4, 7)  # 4 where midnight was between the two minutes
