"""The merge queue against a model: whatever happens, the base is a serial order of what landed.

Random approvals, failing trees, conflicts, other people's commits, and a crash before or after any
write to the database. Real git, real SQLite, checks that really run.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import Session as Orm

from app.services import check_runs, landing, queue
from app.services.context import Context
from app.settings import Settings
from app.store import merge_requests
from app.store.database import Database
from tests.app.services.yard import Yard, git

# fails with `bad`, and where `left` and `right` come together
COMMAND = "test ! -e bad && ! { test -e left && test -e right; }"
FILES = st.sampled_from(["bad", "left", "right", "a", "a", "b", "c", "d", "e"])


class Crash(BaseException):
    """The server is gone: nothing of ours may catch it."""


class BrittleDatabase(Database):
    """Dies before or after the n-th write from now on, and then at every further one."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.writes_left: int | None = None
        self.commits_first = False

    @contextmanager
    def write(self) -> Iterator[Orm]:
        dies_now = self.writes_left is not None and self.writes_left <= 0
        if self.writes_left is not None:
            self.writes_left -= 1
        if dies_now and not self.commits_first:
            raise Crash
        with super().write() as db:
            yield db
        if dies_now:
            raise Crash


class Queue(RuleBasedStateMachine):
    """Everything that people, agents, time and bad luck do to one repository's queue."""

    template: Path  # an empty database
    root: Path
    examples = 0

    requests = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        type(self).examples += 1
        self.home = self.root / str(self.examples)
        self.ours = Settings(home=self.home, port=0)
        self.ours.state.ensure()
        shutil.copyfile(self.template, self.ours.state.database)
        self.db = BrittleDatabase(self.ours.database)
        self.yard = Yard(self.context(), self.home / "ship", command=COMMAND)
        self.human = {self.yard.base()}
        self.files = 0

    def context(self) -> Context:
        return Context(self.ours, self.db, lambda *_topics: None)

    def teardown(self) -> None:
        self.reopen()
        self.yard.settle()
        self.the_base_is_a_serial_order_of_what_landed()
        self.nothing_is_lost()
        self.db.close()
        shutil.rmtree(self.home)

    # -- what happens --

    @initialize(target=requests, names=st.lists(FILES, min_size=3, max_size=4))
    def some_are_approved(self, names: list[str]) -> object:
        made = [self.offer(name) for name in names]
        self.yard.approve(*made)
        return multiple(*made)

    @rule(target=requests, name=FILES)
    def an_agent_offers(self, name: str) -> int:
        return self.offer(name)

    @rule(number=requests, forced=st.sampled_from([False, False, False, True]))
    def the_human_approves(self, number: int, forced: bool) -> None:
        self.approve(number, is_forced=forced, after=[], waits_for_check=False)

    @rule(number=requests, other=requests, waits=st.booleans())
    def the_human_approves_with_conditions(self, number: int, other: int, waits: bool) -> None:
        after = [other] if other < number else []
        self.approve(number, after=after, waits_for_check=waits)

    @rule(number=requests)
    def the_human_takes_it_back(self, number: int) -> None:
        with self.db.write() as db:
            merge_requests.change_state(db, number, ("approved",), "open", approved_sha="")

    @rule(number=requests, name=FILES)
    def its_author_commits(self, number: int, name: str) -> None:
        if self.yard.get(number).state in ("open", "approved"):
            self.files += 1
            self.yard.new_head(number, {name: f"{self.files}\n"})

    @rule(name=st.sampled_from(["a", "other"]))
    def somebody_moves_the_base(self, name: str) -> None:
        self.files += 1
        self.human.add(self.yard.human_commits({name: f"{self.files}\n"}))

    @precondition(lambda self: "bad" in self.yard.files())
    @rule()
    def somebody_mends_the_base(self) -> None:
        git(self.yard.path, "rm", "-q", "bad")
        git(self.yard.path, "commit", "-qm", "mend")
        self.human.add(self.yard.base())

    @rule()
    def what_is_open_meets_its_base(self) -> None:
        self.yard.refresher.refresh_stale(self.yard.ctx)

    @rule()
    def checks_run(self) -> None:
        self.yard.run_checks()

    @rule()
    def the_queue_moves(self) -> None:
        queue.step(self.yard.ctx)

    @rule(writes=st.integers(0, 12), commits_first=st.booleans())
    def the_server_dies(self, writes: int, commits_first: bool) -> None:
        self.dies(writes, commits_first=commits_first)

    @rule(writes=st.integers(0, 3), commits_first=st.booleans(), moved=st.booleans())
    def the_server_dies_as_a_train_arrives(
        self, writes: int, commits_first: bool, moved: bool
    ) -> None:
        queue.step(self.yard.ctx)
        self.yard.run_checks(of_batches=True)
        if moved:
            self.somebody_moves_the_base("other")
        self.dies(writes, commits_first=commits_first)

    # -- what must hold --

    @invariant()
    def the_base_is_a_serial_order_of_what_landed(self) -> None:
        path = self.yard.path
        form = "--format=%H %T %P"
        lines = git(path, "log", "--first-parent", form, "main").splitlines()
        order = [line.split() for line in lines]
        ours = {commit: rest for commit, *rest in order if commit not in self.human}
        landed = {row.new_sha: row for row in self.yard.landings()}
        assert ours.keys() == landed.keys()
        numbers = [row.merge_request_id for row in landed.values()]
        assert len(numbers) == len(set(numbers))
        assert set(numbers) == {r.id for r in self.yard.requests() if r.state == "merged"}
        for commit, (tree, before, head) in ours.items():
            assert before == landed[commit].old_sha
            assert head == self.yard.get(landed[commit].merge_request_id).head_sha
            assert git(path, "merge-tree", "--write-tree", before, head) == tree
        assert all(git(path, "branch", "--contains", sha, "main") for sha in self.human)

    @invariant()
    def each_base_of_ours_passed_or_was_forced(self) -> None:
        log = git(self.yard.path, "reflog", "show", "--format=%H %gs", "main").splitlines()
        ours = [line.split()[0] for line in log if line.endswith("quarterdeck: merge")]
        for commit in ours:
            row = next(each for each in self.yard.landings() if each.new_sha == commit)
            files = self.yard.files(commit)
            passes = "bad" not in files and not {"left", "right"} <= files
            assert passes or self.yard.get(row.merge_request_id).is_forced

    def nothing_is_lost(self) -> None:
        """At rest, whoever is still approved waits for something that is named."""
        assert not [r for r in self.yard.requests() if r.state == "landing"]
        with self.db.read() as db:
            waiting = {each.merge_request_id: each.why for each in queue.line(db)}
        for request in self.yard.requests():
            if request.state == "approved":
                is_held_up = "bad" in self.yard.files()
                assert request.after or request.waits_for_check or is_held_up
                assert waiting[request.id or 0] not in ("", "next train")
        assert not [t for t in self.yard.trains() if t.state not in ("landed", "void", "failed")]

    # -- helpers --

    def offer(self, name: str) -> int:
        self.files += 1
        return self.yard.request({name: f"{self.files}\n"})

    def approve(self, number: int, **more: object) -> None:
        request = self.yard.get(number)
        if request.state == "open" and not request.conflicts:
            self.yard.approve(number, **more)

    def dies(self, writes: int, *, commits_first: bool) -> None:
        self.db.writes_left, self.db.commits_first = writes, commits_first
        try:
            queue.step(self.yard.ctx)
            self.yard.run_checks(of_batches=True)
            queue.step(self.yard.ctx)
        except Crash:
            pass
        self.reopen()

    def reopen(self) -> None:
        """The next server's boot."""
        self.db.close()
        self.db = BrittleDatabase(self.ours.database)
        self.yard.ctx = self.context()
        check_runs.requeue_interrupted(self.yard.ctx)
        for _ in range(2):  # twice is as good as once
            landing.recover_landings(self.yard.ctx)


def run(root: Path, template: Path, examples: int, steps: int) -> None:
    machine = type("QueueAt", (Queue,), {"root": root, "template": template, "examples": 0})
    bounds = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=bounds)


@pytest.mark.slow
def test_a_few_days_of_the_queue(tmp_path: Path, migrated: Path) -> None:
    run(tmp_path, migrated, examples=4, steps=10)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_days_of_the_queue(tmp_path: Path, migrated: Path) -> None:
    run(tmp_path, migrated, examples=60, steps=25)
