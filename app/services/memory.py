"""What is remembered of a database between two questions: sums and drawings that cost to make.

All of it can be forgotten at any time. It goes with its database, and holds one value a name.
"""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlmodel import Session as Orm


@dataclass
class Memory:
    """Of one database."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    kept: dict[Hashable, tuple[Hashable, Any]] = field(default_factory=dict)

    def keep(self, name: Hashable, key: Hashable, make: Callable[[], Any]) -> Any:
        """What was made for this name and key; made anew where the key is another."""
        with self.lock:
            known = self.kept.get(name)
        if known is None or known[0] != key:
            known = (key, make())  # two may make it at once; nobody waits for it
            with self.lock:
                self.kept[name] = known
        return known[1]


_memories: WeakKeyDictionary[Engine, Memory] = WeakKeyDictionary()
_lock = threading.Lock()


def memory(db: Orm) -> Memory:
    """What is remembered of the session's database."""
    engine = cast(Engine, db.get_bind())
    with _lock:
        return _memories.setdefault(engine, Memory())
