"""The document that clients are made from is whole; the server's own calls answer."""

from fastapi import FastAPI
from httpx import AsyncClient

from app import __version__
from app.api.errors import RESPONSES
from tests.app.house import House


def test_every_operation_is_described(application: FastAPI) -> None:
    document = application.openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation.get("tags"), where
            assert operation.get("summary"), where
            replies = operation["responses"]
            assert {str(status) for status in RESPONSES} <= set(replies), where
            good = next(replies[status] for status in ("200", "201", "204") if status in replies)
            assert "204" in replies or good["content"]["application/json"]["schema"], where


def test_no_reply_is_an_untyped_object(application: FastAPI) -> None:
    for path, operations in application.openapi()["paths"].items():
        for operation in operations.values():
            for status in ("200", "201"):
                if status in operation["responses"]:
                    schema = operation["responses"][status]["content"]["application/json"]["schema"]
                    assert "$ref" in schema or "$ref" in schema.get("items", {}), path


async def test_health_names_the_version(api: AsyncClient) -> None:
    health = (await api.get("/health")).json()
    assert (health["status"], health["version"], health["revision"]) == ("ok", __version__, "0004")


async def test_the_fleet_comes_in_one_call(api: AsyncClient, house: House) -> None:
    fleet = (await api.get("/fleet")).json()
    tile = fleet["tiles"][0]
    assert (tile["name"], tile["task_id"], tile["account"]) == ("ada", house.task, "mine")
    assert fleet["reviews"] == [house.request]
    assert fleet["strip"]["permissions"] == 1
    assert sum(fleet["strip"]["agents_by_state"].values()) == 1
