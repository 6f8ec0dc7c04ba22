"""The queue's benchmark, small and without its rival."""

import pytest

from app.bench import main


@pytest.mark.slow
def test_it_counts_what_ran(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--commits=4", "--bad=3", "--seconds=0.1", "--mergetrain=/nowhere", "--check"]
    assert main("queue", arguments) == 0
    said = capsys.readouterr().out
    assert "pipx install mergetrain" in said
    (row,) = [line.split() for line in said.splitlines() if line.startswith(" quarterdeck")]
    of_trains, single, landed = map(int, row[2:])
    assert of_trains + single == 4  # the whole, two to find it, the rest
    assert landed == 3
