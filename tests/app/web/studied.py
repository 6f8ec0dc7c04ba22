"""A merge request of care study in its second round, and a union: data for the pages of one."""

from datetime import timedelta

from app.git.diffs import FileDiff
from app.models import Agent, Batch, Check, MergeRequest, Radar, Repository, Round
from app.models.base import utc_now
from app.services import diffs, seen
from app.services.context import Context
from tests.app import factories as make

LOG = "".join(f"tests/store/test_{n:02}.py {'.' * 20} [{n * 2:3}%]\n" for n in range(1, 40))


def blob(seed: str) -> str:
    return f"100644:{make.sha(seed)}"


def file(
    path: str, before: list[str], after: list[str], seed: str = "", **more: object
) -> FileDiff:
    """A changed file whose content has an identity, so that it can be seen and ticked."""
    blobs = {"old_blob": blob(f"{path} old"), "new_blob": blob(f"{path} {seed}")}
    return make.file_diff(path, before, after, **blobs, **more)


def first_files() -> list[FileDiff]:
    return [
        file(
            "alembic/versions/0007_locks.py",
            [],
            [
                "def upgrade() -> None:",
                '    op.add_column("lock", sa.Column("depth", sa.Integer(), nullable=True))',
                '    op.create_index("ix_lock_depth", "lock", ["depth"])',
            ],
            status="added",
        ),
        file(
            "src/store/locks.py",
            ["    def claim(self, name: str) -> Lock:", "        return self._claim(name, 0)"],
            ["    def claim(self, name: str, depth: int = 0) -> Lock:",
             "        return self._claim(name, depth)"],
            start=41,
        ),
        file(
            "src/store/schema.py",
            ['    depth = Column("depth", Integer)'],
            ['    depth = Column("depth", Integer, nullable=True, index=True)'],
            start=12,
        ),
        file("uv.lock", ['version = "2.0.1"'], ['version = "2.1.0"'], is_generated=True, start=88),
    ]  # fmt: skip


def second_files() -> list[FileDiff]:
    """After the remarks: the migration was rewritten, a test came."""
    files = first_files()
    files[0] = file(
        "alembic/versions/0007_locks.py",
        [],
        [
            "def upgrade() -> None:",
            '    with op.batch_alter_table("lock") as table:',
            '        table.add_column(sa.Column("depth", sa.Integer(), server_default="0"))',
            '    op.create_index("ix_lock_depth", "lock", ["depth"])',
        ],
        seed="second",
        status="added",
    )
    test = ["def test_it_upgrades_a_full_table() -> None:", "    assert depth_of(old_lock) == 0"]
    return [*files, file("tests/store/test_upgrade.py", [], test, status="added")]


def study(ctx: Context, repo: Repository, agent: Agent) -> MergeRequest:
    """Round 1 was read and two files of it ticked; round 2 answers the remarks."""
    work = make.task(ctx, repo, "Locks know how deep they are nested", state="review",
                     agent_id=agent.id, label="schema")  # fmt: skip
    author = make.session(ctx, agent, work, activity="idle", model="claude-opus-5-5")
    now = utc_now()
    request = make.merge_request(
        ctx, author, work, round=1, care="study", files=5, additions=12, deletions=4,
        intent="Locks know how deep they are nested, so that a nested claim no longer deadlocks.",
        summary="The column is filled with 0 for rows that are there; the migration runs in one "
        "batch now, as you asked. 412 tests pass.",
        care_reasons=[
            {"level": "study", "rule": "migrations", "paths": ["alembic/versions/0007_locks.py"]},
            {"level": "read", "rule": "code", "paths": ["src/store/locks.py"]},
        ],
        risks=[
            {"kind": "schema", "points": 30, "says": "changes the schema",
             "paths": ["alembic/versions/0007_locks.py", "src/store/schema.py"]},
            {"kind": "public_interface", "points": 10, "says": "claim() takes one more parameter",
             "paths": ["src/store/locks.py"]},
        ],
        languages={"python": 14}, areas=["alembic"],
        created_at=now - timedelta(hours=2), updated_at=now - timedelta(minutes=9),
    )  # fmt: skip
    number, first = request.id or 0, request.head_sha
    stored = make.stored_diff(*first_files(), head_sha=first, subjects=("store: locks have depth",))
    diffs.store(diffs.request_path(ctx, number, first), stored)
    seen.note(ctx, merge_request_id=number, head_sha=first)
    ticked = ["alembic/versions/0007_locks.py", "src/store/schema.py"]
    seen.note(ctx, merge_request_id=number, head_sha=first, paths=ticked, ticked=True)
    make.comment(ctx, request, "One batch, please: the table is large.", is_sent=True,
                 path="alembic/versions/0007_locks.py", line=3)  # fmt: skip
    return _second_round(ctx, request)


def _second_round(ctx: Context, request: MergeRequest) -> MergeRequest:
    number, first, head = request.id or 0, request.head_sha, make.sha()
    with ctx.db.write() as db:
        request.head_sha, request.round, request.tree_sha = head, 2, make.sha()
        db.add(request)
    make.save(ctx, Round(merge_request_id=number, number=1, head_sha=first))
    why = "One batch, please: the table is large."
    make.save(ctx, Round(merge_request_id=number, number=2, head_sha=head, why=why))
    subjects = ("store: the migration is one batch", "store: locks have depth")
    whole = make.stored_diff(*second_files(), head_sha=head, subjects=subjects)
    diffs.store(diffs.request_path(ctx, number, head), whole)
    since = file(
        "alembic/versions/0007_locks.py",
        ['    op.add_column("lock", sa.Column("depth", sa.Integer(), nullable=True))'],
        [
            '    with op.batch_alter_table("lock") as table:',
            '        table.add_column(sa.Column("depth", sa.Integer(), server_default="0"))',
        ],
        start=2,
    )
    news = make.stored_diff(since, second_files()[-1], head_sha=head, subjects=subjects[:1])
    told = {**{key: getattr(news, key) for key in news.__struct_fields__}, "since_sha": first}
    diffs.store(diffs.since_path(ctx, number, head), diffs.StoredDiff(**told))
    tree = request.tree_sha
    given = {"output_tail": "1 failed", "exit_code": 1, "tree_sha": tree}
    make.check(ctx, request, "failed", **given, started_at=utc_now(), ended_at=utc_now())
    running: Check = make.check(ctx, request, "running", tree_sha=tree, run=2, started_at=utc_now())
    ctx.home.checks().mkdir(parents=True, exist_ok=True)
    (ctx.home.checks() / f"{running.id}.log").write_text(LOG)
    return request


def collide(ctx: Context, one: MergeRequest, other: MergeRequest) -> None:
    """The radar's look: the same text, and a symbol of each other's."""
    members = [
        {"key": str(each.id), "sha": each.head_sha, "agent": name, "title": each.title,
         "merge_request_id": each.id, "session_id": None, "branch": each.branch, "files": 3}
        for each, name in ((one, "magnolia"), (other, "quince"))
    ]  # fmt: skip
    symbol = {"name": "claim", "path": "src/store/locks.py", "other_path": "src/jobs.py",
              "says": "magnolia changes claim(), quince calls it in src/jobs.py"}  # fmt: skip
    both = {"one": str(one.id), "other": str(other.id)}
    collisions = [
        {**both, "kind": "text", "paths": ["src/store/locks.py"], "symbols": []},
        {**both, "kind": "symbol", "paths": ["src/jobs.py"], "symbols": [symbol]},
    ]
    key = {"repository_id": one.repository_id, "base_branch": one.base_branch}
    make.save(ctx, Radar(**key, members=members, collisions=collisions))


def union(ctx: Context, *requests: MergeRequest, **more: object) -> Batch:
    """Built: the first ones are in."""
    steps = [
        {"merge_request_id": each.id, "head_sha": each.head_sha, "commit_sha": make.sha(),
         "tree_sha": make.sha()}
        for each in requests
    ]  # fmt: skip
    given = {
        "repository_id": requests[0].repository_id,
        "base_branch": requests[0].base_branch,
        "base_sha": make.sha("base"),
        "kind": "union",
        "members": [{"merge_request_id": r.id, "head_sha": r.head_sha} for r in requests],
        "steps": steps,
        "head_sha": steps[-1]["commit_sha"],
        "tree_sha": steps[-1]["tree_sha"],
        "state": "ready",
    }
    batch = make.save(ctx, Batch(**given | more))
    files = {f.path: f for r in requests for f in _files(ctx, r)}
    diff = make.stored_diff(*files.values(), head_sha=batch.head_sha)
    diffs.store(diffs.union_path(ctx, batch.id or 0), diff)
    return batch


def _files(ctx: Context, request: MergeRequest) -> list[FileDiff]:
    stored = diffs.stored_diff(ctx, merge_request_id=request.id or 0)
    return stored.files if stored else []


def house(ctx: Context) -> tuple[MergeRequest, MergeRequest, Batch]:
    """(the one to study, another that collides with it, the union of both)."""
    repo = make.repository(ctx, "harbour")
    login = make.account(ctx, "studied")
    one = study(ctx, repo, make.agent(ctx, "magnolia", login))
    quince = make.agent(ctx, "quince", login)
    work = make.task(ctx, repo, "Jobs claim their lock before they start", agent_id=quince.id)
    other = make.merge_request(ctx, make.session(ctx, quince, work), work, care="read", files=1,
                               additions=1, deletions=1)  # fmt: skip
    files = [file("src/jobs.py", ["    run(job)"], ["    with claim(job.name): run(job)"])]
    stored = make.stored_diff(*files, head_sha=other.head_sha, subjects=("jobs: claim first",))
    diffs.store(diffs.request_path(ctx, other.id or 0, other.head_sha), stored)
    make.check(ctx, other, "passed", output_tail="61 passed\n", exit_code=0)
    collide(ctx, one, other)
    return one, other, union(ctx, one, other)
