"""Plays a request: finds its step, lets a due failure strike, sends the answer at its pace."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Protocol

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from agents.rehearsal import anthropic, openai
from agents.rehearsal.accounts import Meters, Window, credential
from agents.rehearsal.connection import cut
from agents.rehearsal.conversation import Conversation
from agents.rehearsal.counts import Counts, Tokens
from agents.rehearsal.failures import HTTP_KINDS, STREAM_KINDS, Failure, Ledger
from agents.rehearsal.play import Reply, next_step, reply, settle
from agents.rehearsal.scenario import Library, Limits
from agents.rehearsal.wire import ErrorAnswer, Frame, fresh_id


class Wire(Protocol):
    """What a protocol's module offers."""

    CALL_PREFIX: str
    STREAMED_ERRORS: frozenset[str]
    """Failures this protocol reports inside a stream."""

    def read(self, body: dict[str, Any], headers: Mapping[str, str]) -> Conversation: ...
    def message(self, reply: Reply, model: str) -> dict[str, Any]: ...
    def frames(self, reply: Reply, model: str) -> Iterator[Frame]: ...
    def stream_error(self, failure: Failure) -> Frame: ...
    def error(self, failure: Failure) -> ErrorAnswer: ...
    def limit_headers(
        self, reported: list[Window], request: Mapping[str, str], failure: Failure | None
    ) -> dict[str, str]: ...


WIRES: dict[str, Wire] = {"anthropic": anthropic, "openai": openai}


class Stage:
    """Answers model requests from a library of scenarios."""

    def __init__(self, library: Library, server: uvicorn.Server, meters: Meters) -> None:
        self._library, self._server, self._meters = library, server, meters
        self._ledger = Ledger()
        self.counts = Counts()

    async def answer(self, protocol: str, request: Request, body: dict[str, Any]) -> Response:
        """The scenario's answer to this request, or its failure."""
        wire = WIRES[protocol]
        name = request.path_params["scenario"]
        conversation = wire.read(body, request.headers)
        scenario = self._library.find(name, "".join(conversation.place.prompts[:1]))
        if scenario is None:
            known = ", ".join(self._library.scenarios)
            return refusal(404, f"no scenario {name!r}; known: {known}")
        if body.get("previous_response_id"):
            return refusal(400, "previous_response_id is not kept here; send the whole input")
        conversation = settle(scenario, conversation)
        step = next_step(scenario, conversation)
        who = credential(request.headers)
        limits = self._meters.limits(who, scenario.limits)
        failure = self._meters.refusal(who, limits) or self._ledger.due(name, conversation, step)
        windows = self._meters.windows(who, limits, failure)
        headers = wire.limit_headers(windows, request.headers, failure)
        headers |= {"request-id": fresh_id("req"), "x-request-id": fresh_id("req")}
        in_stream = wire.STREAMED_ERRORS | STREAM_KINDS if conversation.stream else frozenset()
        if failure is not None and failure.kind not in in_stream:
            if failure.kind not in HTTP_KINDS:
                return await cut(self._server, request, reset=failure.kind == "refuse")
            answer = wire.error(failure)
            return JSONResponse(answer.body, answer.status, headers | answer.headers)
        played = reply(scenario, conversation, step, wire.CALL_PREFIX)
        bill = Bill(self.counts, self._meters, (who, conversation.model), limits, played)
        await asyncio.sleep(step.wait_seconds)
        if not conversation.stream:
            await asyncio.sleep(played.seconds())
        if await request.is_disconnected():  # it gave up waiting: nobody is told what it cost
            return Response()
        if not conversation.stream:
            bill.tell("whole")
            return JSONResponse(wire.message(played, conversation.model), headers=headers)
        frames = list(wire.frames(played, conversation.model))
        stream = self._stream(request, wire, frames, played.seconds(), failure, bill)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    async def _stream(
        self,
        request: Request,
        wire: Wire,
        frames: list[Frame],
        seconds: float,
        failure: Failure | None,
        bill: "Bill",
    ) -> AsyncIterator[bytes]:
        """The frames spread over so many seconds; a failure strikes in the middle of them."""
        seconds_each = seconds / (sum(frame.weight for frame in frames) or 1)
        for number, frame in enumerate(frames):
            if failure is not None and number == len(frames) // 2:
                if failure.kind in wire.STREAMED_ERRORS:
                    yield wire.stream_error(failure).data
                    return
                if failure.kind == "drop":
                    await cut(self._server, request, reset=False)
                # A client that left ends this wait: the response is cancelled with it.
                await asyncio.sleep(failure.stall_seconds)
            if seconds_each and frame.weight:
                await asyncio.sleep(frame.weight * seconds_each)
            bill.tell(frame.told)  # first: who reads it may ask at once what was counted
            yield frame.data


class Bill:
    """What one call costs, told in one piece or two, counted as it is told."""

    def __init__(
        self, counts: Counts, meters: Meters, key: tuple[str, str], limits: Limits, reply: Reply
    ) -> None:
        self._counts, self._meters, self._key, self._limits = counts, meters, key, limits
        self._begun = Tokens()
        self._usage, self._output = reply.usage, reply.output_tokens

    def tell(self, part: str) -> None:
        """The client is sent this part of the bill: `start` (with one output token) or `whole`."""
        if part == "start":
            self._begun = Tokens.of(self._usage, 1)
            self._counts.begin(self._key, self._begun)
        elif part == "whole":
            whole = Tokens.of(self._usage, self._output)
            self._counts.finish(self._key, self._begun, whole)
            self._meters.spend(self._key[0], self._limits, whole.total)


def refusal(status: int, text: str) -> Response:
    """An error that is the server's own and no part of a scenario."""
    error = {"type": "invalid_request_error", "message": f"Rehearsal: {text}", "code": "rehearsal"}
    return JSONResponse({"type": "error", "error": error}, status)
