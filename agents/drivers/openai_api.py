"""An agent over OpenAI's Responses API, or any server that speaks it: our own loop, the SDK.

Owns that protocol: how a conversation is written, what a stream says, what its headers and errors
mean. Nothing is stored at the vendor; reasoning goes back with the conversation.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from agents.base import (
    AccountReport,
    Availability,
    Capabilities,
    Connection,
    Endpoint,
    Host,
)
from agents.drivers.api_errors import ModelError, broken, refused
from agents.drivers.api_loop import ApiConnection
from agents.drivers.api_model import (
    CUT,
    Call,
    Item,
    Sink,
    Step,
    Stop,
    account_of,
    arguments,
    availability,
    last_words,
    secret,
)
from agents.drivers.api_quota import minute_window, quota
from agents.events import Usage
from agents.tools import TOOLS

if TYPE_CHECKING:
    from openai.types.responses import FunctionToolParam, ResponseInputParam

BASE_URL = "https://api.openai.com/v1"
READ_SECONDS, CONNECT_SECONDS = 600.0, 15.0
_WINDOWS = ("requests", "tokens", "input-tokens", "output-tokens")
Json = dict[str, Any]


class OpenAIApi:
    """The driver."""

    id = "openai_api"
    capabilities = Capabilities(
        label="OpenAI API",
        icon="Oa",
        quota=True,
        auths=("api_key", "none"),
        api_key_env="OPENAI_API_KEY",
        default_model="gpt-6.1-sol",
        docs="https://developers.openai.com/api/docs",
        family="openai_api",
    )

    def available(self, endpoint: Endpoint, env: dict[str, str]) -> Availability:
        """A key is set, or an endpoint without one is named."""
        return availability("openai", self.capabilities.api_key_env, endpoint, env)

    def read_account(self, endpoint: Endpoint, env: dict[str, str]) -> AccountReport:
        """Whether there is a key; a key has no meter to ask."""
        return account_of(self.capabilities.api_key_env, endpoint, env)

    def carry(self, *_: object, **__: object) -> bool:
        """Never: a conversation goes on under the key that began it."""
        return False

    def connect(self, host: Host) -> Connection:
        """A connection; the SDK is imported when it starts."""
        return ApiConnection(host, self.id, Responses)


class Responses:
    """The Responses API as the loop's `Model`."""

    def __init__(self, host: Host, conversation_id: str) -> None:
        import openai

        base_url = host.spec.endpoint.base_url
        self.version = f"openai {openai.__version__}"
        self.name = host.spec.model or OpenAIApi.capabilities.default_model
        # Only the vendor's own endpoint is sure to know these; others may refuse them.
        self._extras: Json = {}
        if not base_url or base_url.startswith(BASE_URL):
            self._extras = {
                "include": ["reasoning.encrypted_content"],
                "prompt_cache_key": conversation_id,
            }
        self._client = openai.AsyncOpenAI(
            api_key=secret(host, OpenAIApi.capabilities.api_key_env),
            base_url=base_url or BASE_URL,
            max_retries=0,  # the loop retries, so that the human sees it
            timeout=openai.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        )

    async def step(self, items: list[Item], instructions: str, sink: Sink) -> Step:
        """One streamed call; words go to `sink`. Raises ModelError."""
        import httpx2
        import openai

        reply = _Reply(sink)
        try:
            await self._stream(items, instructions, reply)
        except openai.APIStatusError as error:
            self._tell_quota(error.response.headers, sink, error.status_code == 429)
            code = error.code or error.type or ""
            headers = error.response.headers
            raise refused(
                sink, error.status_code, code, _message(error), headers, error.body
            ) from error
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            raise broken(sink, error) from error
        except openai.APIError as error:  # an error event in the stream
            code = error.code or error.type or ""
            raise refused(sink, 200, code, _message(error), {}, error.body) from error
        finally:
            reply.tell_usage()
        return reply.step()

    def say(self, items: list[Item], text: str) -> None:
        """Append the human's words."""
        items.append({"role": "user", "content": [{"type": "input_text", "text": text}]})

    def reply(self, items: list[Item], text: str) -> None:
        """Append what the model had said before it was cut off."""
        items.append({"role": "assistant", "content": text})

    def answer(self, items: list[Item], call_id: str, text: str, is_error: bool) -> None:
        """Append a tool's result; this protocol has no mark for an error but its words."""
        output = f"Error: {text}" if is_error else text
        items.append({"type": "function_call_output", "call_id": call_id, "output": output})

    def unanswered(self, items: list[Item]) -> list[str]:
        """Ids of the calls that have no result yet."""
        answered = {i["call_id"] for i in items if i.get("type") == "function_call_output"}
        calls = [str(i["call_id"]) for i in items if i.get("type") == "function_call"]
        return [call_id for call_id in calls if call_id not in answered]

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _stream(self, items: list[Item], instructions: str, reply: "_Reply") -> None:
        stream = await self._client.responses.create(
            model=self.name,
            instructions=instructions,
            input=cast("ResponseInputParam", items),
            tools=cast("list[FunctionToolParam]", _TOOLS),
            store=False,
            stream=True,
            **self._extras,
        )
        async with stream:
            self._tell_quota(stream.response.headers, reply.sink, False)
            async for event in stream:
                reply.take(event.model_dump(mode="json", exclude_unset=True, warnings=False))

    def _tell_quota(self, headers: Mapping[str, str], sink: Sink, is_refused: bool) -> None:
        found = []
        for name in _WINDOWS:
            limit, left, reset = (
                headers.get(f"x-ratelimit-{field}-{name}")
                for field in ("limit", "remaining", "reset")
            )
            found.append(minute_window(f"{name.replace('-', '_')}_per_minute", limit, left, reset))
        windows = [window for window in found if window is not None]
        if told := quota(windows, is_refused, "response headers"):
            sink.emit(told)


class _Reply:
    """One response, put together from its stream."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._items: dict[int, Json] = {}
        self._response: Json = {}
        self._error: Json = {}
        self._refused = False

    def take(self, event: Json) -> None:
        """Take one event of the stream."""
        event = self.sink.keep(event)
        kind = event["type"]
        part = event.get("content_index", event.get("summary_index", 0))
        message_id = f"{event.get('output_index', 0)}.{part}"
        match kind:
            case "response.output_text.delta" | "response.refusal.delta":
                self._refused = self._refused or kind == "response.refusal.delta"
                self.sink.say(message_id, event["delta"])
            case "response.output_text.done" | "response.refusal.done":
                self.sink.end(message_id)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self.sink.think(f"thinking-{kind[9:20]}-{message_id}", event["delta"])
            case "response.reasoning_summary_text.done" | "response.reasoning_text.done":
                self.sink.end(f"thinking-{kind[9:20]}-{message_id}")
            case "response.output_item.done":
                self._items[event["output_index"]] = event["item"]
            case "response.completed" | "response.incomplete" | "response.failed":
                self._response = event["response"]
            case "error":
                self._error = event

    def tell_usage(self) -> None:
        """Emit the tokens of this call; nothing where the stream did not get that far."""
        usage = self._response.get("usage")
        if not usage:
            return
        took = usage.get("input_tokens_details") or {}
        gave = usage.get("output_tokens_details") or {}
        read, written = took.get("cached_tokens") or 0, took.get("cache_write_tokens") or 0
        self.sink.emit(
            Usage(
                self._response.get("model", ""),
                output_tokens=usage.get("output_tokens") or 0,
                input_tokens=max((usage.get("input_tokens") or 0) - read - written, 0),
                cache_write_tokens=written,
                cache_read_tokens=read,
                reasoning_tokens=gave.get("reasoning_tokens") or 0,
            )
        )

    def step(self) -> Step:
        """What the response means to the loop; raises ModelError where it is none."""
        error = self._error or self._response.get("error") or {}
        if error or self._response.get("status") == "failed":
            message = error.get("message") or "The response failed without a reason."
            raise refused(self.sink, 200, error.get("code") or "server_error", message, {}, error)
        if not self._response:
            raise broken(self.sink, "the stream ended early")
        reason = (self._response.get("incomplete_details") or {}).get("reason")
        if self._refused or reason == "content_filter":
            message = "The model refused to go on with this conversation; rephrase the task."
            raise ModelError("invalid", message, raw=self.sink.raw)
        output = self._response.get("output") or [self._items[i] for i in sorted(self._items)]
        calls = [_call(item, bool(reason)) for item in output if item["type"] == "function_call"]
        items = [_kept(item) for item in output if _goes_back(item)]
        texts = [
            part["text"]
            for item in output
            if item["type"] == "message"
            for part in item["content"]
            if part["type"] == "output_text"
        ]
        stop: Stop = "length" if reason else "end"
        return Step(items, calls, last_words(texts), stop, self.sink.raw)


def _call(item: Json, is_cut: bool) -> Call:
    given, problem = arguments(item["arguments"])
    if is_cut and item.get("status") != "completed":
        problem = CUT
    if problem:
        item["arguments"] = "{}"  # servers parse what goes back to them
    return Call(item["call_id"], item["name"], given, problem)


def _goes_back(item: Json) -> bool:
    """Reasoning that is neither encrypted nor in the open is only a reference: not stored."""
    if item["type"] == "reasoning":
        return bool(item.get("encrypted_content") or item.get("content"))
    return True


def _kept(item: Json) -> Item:
    return {key: value for key, value in item.items() if value is not None}


def _message(error: Exception) -> str:
    body = getattr(error, "body", None)
    told = body.get("message") if isinstance(body, dict) else None
    return str(told or error)


_TOOLS = [
    {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.schema,
        "strict": False,  # optional arguments stay optional
    }
    for tool in TOOLS
]
