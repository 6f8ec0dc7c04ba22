import unittest

from logbook.entries import parse
from logbook.report import report

ENTRIES = [
    parse("2026-03-02 06:00 | odd | #weather | Fog."),
    parse("2026-03-01 08:00 | mara | #weather | Wind south-west 5."),
]


class ReportTest(unittest.TestCase):
    def test_it_sorts_entries_under_their_days(self):
        self.assertEqual(
            report(ENTRIES).splitlines(),
            [
                "== Sunday 01 March 2026",
                "08:00 mara: Wind south-west 5.",
                "== Monday 02 March 2026",
                "06:00 odd: Fog.",
            ],
        )
