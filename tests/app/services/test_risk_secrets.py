"""Secrets are found by shape, by name and by file, and never repeated."""

from pathlib import Path

import pytest

from tests.app.services.changes import Bench, only, told


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench")


KEY = "ghp_" + "aB3" * 12


@pytest.mark.parametrize(
    ("path", "line", "says"),
    [
        ("a.py", f"token = '{KEY}'", "what looks like a key (ghp_…)"),
        ("docs/a.md", f"use {KEY}", "what looks like a key (ghp_…)"),
        ("a.py", "x = 'AKIA" + "Q4R7" * 4 + "'", "what looks like a key (AKIA…)"),
        ("a.txt", "-----BEGIN RSA " + "PRIVATE KEY-----", "a private key"),
        ("a.yml", 'password: "k8Zq2mLw0vXs"', "a password or key written into the file"),
        ("a.yml", "api_key: k8Zq2mLw0vXs9", "a password or key written into the file"),
        ("a.ts", "const apiKey = 'k8Zq2mLw0vXs9'", "a password or key written into the file"),
        ("a.py", 'URL = "postgres://app:k8Zq2mLw0vXs@db/x"', "a password in an address"),
    ],
)
def test_it_finds_secrets_and_never_repeats_them(
    bench: Bench, path: str, line: str, says: str
) -> None:
    risk = only(bench.change({}, {path: f"# one\n{line}\n"}), "secret")
    assert (risk.says, risk.points, risk.paths) == (says, 100, (path,))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.py", "key = 'AKIAIOSFODNN7EXAMPLE'"),
        ("a.py", 'password = os.environ["DATABASE_PASSWORD"]'),
        ("a.py", 'password = "change-me-please"'),
        ("a.py", 'secret = "${SECRET_FROM_VAULT}"'),
        ("a.py", 'password_field = "password_confirmation"'),
        ("a.py", 'URL = "postgres://user:{password}@db/x"'),
        ("tests/test_a.py", 'password = "k8Zq2mLw0vXs"'),
        ("package-lock.json", '"integrity": "sha512-sk-' + "a" * 60 + '"'),
        ("a.py", "secret = compute_the_value(x)"),
        ("a.yml", "secret: $VAULT_REFERENCE"),
        ("a.py", "sha = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'"),
    ],
)
def test_it_does_not_cry_at_what_is_none(bench: Bench, path: str, line: str) -> None:
    assert "secret" not in told(bench.change({}, {path: f"{line}\n"}))


def test_a_secret_that_goes_is_none(bench: Bench) -> None:
    assert (
        told(bench.change({"a.py": f"t = '{KEY}'\n"}, {"a.py": "t = env\n"})).get("secret") is None
    )


@pytest.mark.parametrize("path", [".env", "config/.env.production", "keys/server.pem", ".netrc"])
def test_files_that_hold_secrets_are_told_by_name(bench: Bench, path: str) -> None:
    assert only(bench.change({}, {path: "x\n"}), "secret").points == 80
    assert "secret" not in told(bench.change({}, {".env.example": "x\n"}))
