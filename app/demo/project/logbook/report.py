"""The log as a report."""

from logbook.entries import Entry


def report(entries: list[Entry]) -> str:
    """One line per entry under a heading per day."""
    lines: list[str] = []
    day = None
    for entry in sorted(entries, key=lambda entry: entry.at):
        if entry.at.date() != day:
            day = entry.at.date()
            lines.append(f"== {day:%A %d %B %Y}")
        lines.append(f"{entry.at:%H:%M} {entry.author}: {entry.text}")
    return "\n".join(lines)
