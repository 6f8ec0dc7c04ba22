"""The scenario format: every built-in file loads, and a wrong one says where it is wrong."""

from pathlib import Path

import pytest

from agents.rehearsal.scenario import BUILT_IN, Library, ScenarioError, load

GOOD = 'title = "T"\nmatch = ["a word"]\n[[turns]]\n[[turns.steps]]\nsay = "Hello"\n'


def written(directory: Path, text: str, name: str = "mine") -> Path:
    path = directory / f"{name}.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("path", sorted(BUILT_IN.glob("*.toml")), ids=lambda path: path.stem)
def test_it_loads_every_built_in_scenario(path: Path) -> None:
    assert load(path).title


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("title = ", "Invalid value"),
        ("match = []", "`title`"),
        ('title = "T"\nspeed = 3', "speed"),
        ('title = "T"\n[[turns]]\nsteps = []', "turn 1 has no steps"),
        (f"{GOOD}[[turns.steps]]\nthink = 'x'", "turn 1, step 1 calls no tool"),
        ('title = "T"\n[[turns]]\n[[turns.steps]]\nthink = "x"', "turn 1, step 1 neither"),
        (f'{GOOD}fail = "418"', "turns[0].steps[0].fail"),
        (f"{GOOD}calls = [{{ tool = 'rm' }}]", "calls[0].tool"),
        (f"{GOOD}calls = [{{ tool = 'bash' }}]", "command"),
        (
            f"{GOOD}calls = [{{ tool = 'edit', path = '/etc/passwd', old = 'a', new = 'b' }}]",
            "/etc",
        ),
    ],
)
def test_it_names_the_file_and_the_fault(tmp_path: Path, text: str, reason: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)


def test_it_picks_by_the_longest_match_of_the_first_prompt(tmp_path: Path) -> None:
    written(tmp_path, GOOD.replace("a word", "a"), "short")
    written(tmp_path, GOOD, "long")
    library = Library(tmp_path)
    found = library.find("auto", "here is a word")
    assert found is library.scenarios["long"]
    assert library.find("auto", "nothing known") is library.scenarios["echo"]
    assert library.find("nowhere", "here is a word") is None
