"""Collects every page, fragment and socket."""

from fastapi import APIRouter

from app.web import live
from app.web.pages import accounts, agents, fleet, go, login, reviews, tasks

router = APIRouter(include_in_schema=False)
for module in (fleet, agents, tasks, reviews, accounts, login, go, live):
    router.include_router(module.router)
