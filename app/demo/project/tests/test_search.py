import unittest

from logbook.entries import parse
from logbook.search import find

ENTRIES = [
    parse("2026-03-01 08:00 | mara | #weather | Wind south-west 5."),
    parse("2026-03-01 12:00 | odd | #course | Tacked off the point."),
]


class FindTest(unittest.TestCase):
    def test_it_finds_by_word(self):
        self.assertEqual(find(ENTRIES, "Tacked"), ENTRIES[1:])

    def test_it_finds_nothing(self):
        self.assertEqual(find(ENTRIES, "whale"), [])
