"""The tables, one file per noun; no queries, no input or output."""

from app.models.account import Account
from app.models.agent import Agent
from app.models.merge_request import Check, Comment, Decision, Landing, MergeRequest
from app.models.quota import QuotaReading, QuotaSample
from app.models.repository import Repository
from app.models.session import JournalIndex, Message, Permission, Session, UsageMinute
from app.models.task import Task

__all__ = [
    "Account",
    "Agent",
    "Check",
    "Comment",
    "Decision",
    "JournalIndex",
    "Landing",
    "MergeRequest",
    "Message",
    "Permission",
    "QuotaReading",
    "QuotaSample",
    "Repository",
    "Session",
    "Task",
    "UsageMinute",
]
