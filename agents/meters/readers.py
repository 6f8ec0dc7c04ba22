"""The log readers there are, by the id of the driver whose logs they read."""

from agents.meters.base import LogReader
from agents.meters.claude_logs import ClaudeLogs
from agents.meters.codex_logs import CodexLogs

READERS: dict[str, LogReader] = {reader.id: reader for reader in (ClaudeLogs(), CodexLogs())}
