"""Trains: branches put on a base one after the other, so that any prefix can be checked and land.

Nothing but objects is written, and the same cars on the same base give the same commits.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from app.errors import MergeConflict, NothingToMerge
from app.git import rebasing
from app.git.clones import Clones
from app.git.merging import Strategy, merge_commit, tree_of
from app.git.repositories import Identity


class Car(msgspec.Struct, frozen=True):
    """A branch that wants to ride: what it brings and the words of the commit that brings it."""

    merge_request_id: int
    head_sha: str
    message: str
    author: Identity  # of the merge or squash; a rebase keeps its commits' own
    at: datetime
    strategy: Strategy = "merge"


class Step(msgspec.Struct, frozen=True):
    """A car that is in: the commit on top of the step before it, and that commit's tree."""

    merge_request_id: int
    head_sha: str
    commit_sha: str
    tree_sha: str
    note: str = ""  # what the human should know: its commits could not be rebased


class Left(msgspec.Struct, frozen=True):
    """A car that is not in: it conflicts with the train in `paths`; () = it brings nothing new."""

    merge_request_id: int
    paths: tuple[str, ...]


class Train(msgspec.Struct, frozen=True):
    """What was built on `base_sha`, in the order of the cars."""

    base_sha: str
    steps: tuple[Step, ...]
    left: tuple[Left, ...]


def build(clones: Clones, base_sha: str, cars: Sequence[Car]) -> Train:
    """Couple each car to what is there; one that conflicts is left, the others ride on."""
    steps: list[Step] = []
    left: list[Left] = []
    for car in cars:
        tip = steps[-1].commit_sha if steps else base_sha
        try:
            commit, note = _couple(clones, tip, car)
        except MergeConflict as error:
            left.append(Left(car.merge_request_id, error.paths))
        except NothingToMerge:
            left.append(Left(car.merge_request_id, ()))
        else:
            tree = tree_of(clones, commit)
            steps.append(Step(car.merge_request_id, car.head_sha, commit, tree, note))
    return Train(base_sha, tuple(steps), tuple(left))


def _couple(clones: Clones, tip: str, car: Car) -> tuple[str, str]:
    """The commit that brings the car, and a note."""
    note = ""
    if car.strategy == "rebase":
        replayed = rebasing.replay(clones, tip, car.head_sha, car.author, car.at)
        if replayed is not None:
            return replayed, ""
        note = "Squashed: its commits one by one do not give the merged tree."
    squash = car.strategy != "merge"
    made = merge_commit(clones, tip, car.head_sha, car.message, car.author, car.at, squash=squash)
    return made, note
