"""The bench of the diff page, small: git's own diff, a served page, a real Chromium."""

from app.bench import diff
from tests.app.web import browsing

pytestmark = browsing.MARKS


def test_it_opens_all_files_and_reaches_the_last() -> None:
    given = ["--files", "60", "--lines", "600", "--repeat", "1", "--browser"]
    options = diff.parser().parse_args([*given, str(browsing.CHROMIUM)])
    result = diff.run(options)
    rows = dict(result.rows)
    assert rows["files on the page"] == 60
    assert rows["changed lines on the page"] >= 600
    assert rows["marks inside lines"] >= 300
    reached = next(bar for bar in result.bars if "last file" in bar.name and bar.is_floor)
    assert reached.holds
