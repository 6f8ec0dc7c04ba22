import unittest
from datetime import datetime

from logbook.entries import parse

LINE = "2026-03-01 08:00 | mara | #weather #wind | Wind south-west 5."


class ParseTest(unittest.TestCase):
    def test_it_reads_every_field(self):
        entry = parse(LINE)
        self.assertEqual(entry.at, datetime(2026, 3, 1, 8, 0))
        self.assertEqual(entry.author, "mara")
        self.assertEqual(entry.tags, ("weather", "wind"))
        self.assertEqual(entry.text, "Wind south-west 5.")

    def test_it_refuses_a_line_that_lacks_a_field(self):
        with self.assertRaises(ValueError):
            parse("2026-03-01 08:00 | mara | Wind south-west 5.")
