"""The tables, one file per noun; no queries, no input or output."""

from app.models.account import Account
from app.models.agent import Agent
from app.models.balancing import BalancerDecision, Preference
from app.models.merge_request import Check, Comment, Decision, Landing, MergeRequest
from app.models.quota import QuotaEnd, QuotaReading, QuotaSample
from app.models.repository import Repository
from app.models.session import JournalIndex, Message, Permission, Session
from app.models.task import Task
from app.models.usage import (
    AgentClock,
    AgentMinute,
    Conversation,
    LadderMinute,
    LogFile,
    LoggedCall,
    LoggedName,
    OutsideMinute,
    SessionAccount,
    UsageMinute,
)

__all__ = [
    "Account",
    "Agent",
    "AgentClock",
    "AgentMinute",
    "BalancerDecision",
    "Check",
    "Comment",
    "Conversation",
    "Decision",
    "JournalIndex",
    "LadderMinute",
    "Landing",
    "LogFile",
    "LoggedCall",
    "LoggedName",
    "MergeRequest",
    "Message",
    "OutsideMinute",
    "Permission",
    "Preference",
    "QuotaEnd",
    "QuotaReading",
    "QuotaSample",
    "Repository",
    "Session",
    "SessionAccount",
    "Task",
    "UsageMinute",
]
