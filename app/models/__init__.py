"""The tables, one file per noun; no queries, no input or output."""

from app.models.account import Account
from app.models.agent import Agent
from app.models.balancing import BalancerDecision, Preference
from app.models.batch import Batch, Push
from app.models.contest import Contest, Outcome
from app.models.decision import Decision
from app.models.merge_request import Check, Comment, Landing, MergeRequest, Round
from app.models.quota import QuotaEnd, QuotaReading, QuotaSample
from app.models.radar import Radar
from app.models.repository import Repository
from app.models.seen import SeenFile
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
    "Batch",
    "Check",
    "Comment",
    "Contest",
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
    "Outcome",
    "OutsideMinute",
    "Permission",
    "Preference",
    "Push",
    "QuotaEnd",
    "QuotaReading",
    "QuotaSample",
    "Radar",
    "Repository",
    "Round",
    "SeenFile",
    "Session",
    "SessionAccount",
    "Task",
    "UsageMinute",
]
