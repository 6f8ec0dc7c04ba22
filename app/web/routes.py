"""Collects every page, fragment and socket."""

from fastapi import APIRouter

from app.web import live
from app.web.pages import accounts, agents, fleet, go, login, moves, reviews, tasks, throughput

router = APIRouter(include_in_schema=False)
_PAGES = (fleet, agents, tasks, reviews, accounts, throughput, moves, login, go)
for module in (*_PAGES, live):
    router.include_router(module.router)
