"""What was spent, in a terminal."""

from app.cli.usage import _add, _cells, _size


def test_an_unknown_price_is_not_nothing() -> None:
    row = {"label": "mine", "output": 1234, "fresh_input": 0, "cache_write": 0, "cache_read": 5}
    cells = _cells(row | {"usd": None, "is_partial": False})
    assert cells == ("mine", "1,234", "0", "0", "5", "unknown")
    assert _cells(row | {"usd": 0.0, "is_partial": False})[-1] == "0.00"
    assert _cells(row | {"usd": 1234.567, "is_partial": True})[-1] == "1,234.57 and more"


def test_the_steps_of_an_import_add_up() -> None:
    step = {"files": 1, "records": 2, "new_calls": 3, "bytes_read": 4_000_000, "is_finished": False}
    done: dict[str, object] = {}
    for is_finished in (False, True):
        _add(done, step | {"unreadable_lines": 0, "is_finished": is_finished})
    assert (done["files"], done["new_calls"], done["is_finished"]) == (2, 6, True)
    assert _size(done) == "8.0 MB"
