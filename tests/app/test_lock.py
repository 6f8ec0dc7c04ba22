"""One server per home, however it died."""

import multiprocessing
from pathlib import Path

import pytest

from app.errors import ServerRunning
from app.lock import announce, claim, is_running, running_url
from app.paths import Home


def test_a_second_claim_names_the_first_address(home: Home) -> None:
    with claim(home):
        announce(home, "http://127.0.0.1:9")
        assert is_running(home)
        with pytest.raises(ServerRunning, match=r"http://127\.0\.0\.1:9"), claim(home):
            pytest.fail("two servers held one home")
    assert not is_running(home)
    assert not home.server_info.exists()


def test_before_the_address_is_known_it_says_so(home: Home) -> None:
    with claim(home):
        assert running_url(home) is None
        with pytest.raises(ServerRunning, match="not announced"), claim(home):
            pytest.fail("two servers held one home")


def hold(path: Path, held: object) -> None:
    with claim(Home(path)):
        announce(Home(path), "http://127.0.0.1:9")
        held.set()  # type: ignore[attr-defined]
        multiprocessing.Event().wait()


def test_a_killed_server_frees_its_home(home: Home) -> None:
    spawn = multiprocessing.get_context("spawn")
    held = spawn.Event()
    server = spawn.Process(target=hold, args=(home.path, held))
    server.start()
    assert held.wait(timeout=30)
    assert running_url(home) == "http://127.0.0.1:9"
    server.kill()
    server.join(timeout=10)
    assert running_url(home) is None  # although server.json is still there
    with claim(home):
        pass


def test_a_home_that_never_was_runs_nothing(home: Home) -> None:
    assert not is_running(home)
    assert running_url(home) is None
