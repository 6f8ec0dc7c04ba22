"""Collects every page, fragment and socket."""

from fastapi import APIRouter

from app.web import live
from app.web.pages import (
    accounts,
    agents,
    checks,
    contests,
    fleet,
    go,
    login,
    moves,
    record,
    review,
    reviews,
    tasks,
    throughput,
    unions,
)

router = APIRouter(include_in_schema=False)
_PAGES = (
    fleet,
    agents,
    tasks,
    reviews,
    review,
    unions,
    checks,
    contests,
    record,
    accounts,
    throughput,
    moves,
    login,
    go,
)
for module in (*_PAGES, live):
    router.include_router(module.router)
