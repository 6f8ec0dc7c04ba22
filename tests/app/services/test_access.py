"""The token: made once, private, the same for all who ask."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.errors import HomeUnusable
from app.paths import Home
from app.services.access import login_url, renew, token


def test_it_is_made_once_and_private(home: Home) -> None:
    first = token(home)
    assert len(first) >= 43  # 32 random bytes
    assert token(home) == first
    assert home.token.stat().st_mode & 0o777 == 0o600
    assert home.path.stat().st_mode & 0o777 == 0o700


def test_many_who_start_at_once_agree(home: Home) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: token(home), range(64)))) == 1
    assert [path.name for path in home.path.glob("token*")] == ["token"]


def test_a_token_others_could_read_is_made_private_again(home: Home) -> None:
    token(home)
    home.token.chmod(0o644)
    token(home)
    assert home.token.stat().st_mode & 0o777 == 0o600


def test_an_empty_file_is_no_token(home: Home) -> None:
    home.ensure()
    home.token.touch(0o600)
    assert len(token(home)) >= 43


def test_renewing_makes_another(home: Home) -> None:
    assert token(home) != renew(home)


def test_a_home_that_is_a_file_is_one_sentence(home: Home) -> None:
    home.path.write_text("")
    with pytest.raises(HomeUnusable, match="QUARTERDECK_HOME"):
        token(home)


def test_the_login_address_carries_it() -> None:
    assert login_url("http://127.0.0.1:1", "abc") == "http://127.0.0.1:1/?token=abc"
