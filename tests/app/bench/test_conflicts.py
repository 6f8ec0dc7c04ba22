"""The radar's benchmark, small: that it measures what it says."""

from app.bench import conflicts


def test_it_compares_with_bare_git_and_times_a_change() -> None:
    options = conflicts.parser().parse_args(["--files=500", "--branches=6", "--repeat=1"])
    result = conflicts.run(options)
    assert result.rows[0][0] == "bare git merge-tree --stdin, 15 pairs"
    assert [bar.unit for bar in result.bars] == ["times", "ms"]
    assert all(bar.value > 0 for bar in result.bars)
