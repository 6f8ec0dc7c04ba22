"""An agent over Anthropic's Messages API: our own loop, the vendor's SDK, no vendor program.

Owns that protocol: how a conversation is written, what a stream says, what its headers and errors
mean. Prompt caching: the system prompt, and the end of the last two user messages.
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
    from anthropic.types import MessageParam, TextBlockParam, ToolParam

BASE_URL = "https://api.anthropic.com"
MAX_TOKENS = 32_000
READ_SECONDS, CONNECT_SECONDS = 600.0, 15.0
_WINDOWS = ("requests", "tokens", "input-tokens", "output-tokens")
_CACHE = {"type": "ephemeral"}
_STOPS: dict[str, Stop] = {"max_tokens": "length", "pause_turn": "pause"}
Block = dict[str, Any]


class AnthropicApi:
    """The driver."""

    id = "anthropic_api"
    capabilities = Capabilities(
        label="Anthropic API",
        icon="An",
        quota=True,
        auths=("api_key", "none"),
        api_key_env="ANTHROPIC_API_KEY",
        default_model="claude-opus-5-5",
        docs="https://platform.claude.com/docs",
        family="anthropic_api",
    )

    def available(self, endpoint: Endpoint, env: dict[str, str]) -> Availability:
        """A key is set, or an endpoint without one is named."""
        return availability("anthropic", self.capabilities.api_key_env, endpoint, env)

    def read_account(self, endpoint: Endpoint, env: dict[str, str]) -> AccountReport:
        """Whether there is a key; a key has no meter to ask."""
        return account_of(self.capabilities.api_key_env, endpoint, env)

    def carry(self, *_: object, **__: object) -> bool:
        """Never: a conversation goes on under the key that began it."""
        return False

    def connect(self, host: Host) -> Connection:
        """A connection; the SDK is imported when it starts."""
        return ApiConnection(host, self.id, Messages)


class Messages:
    """The Messages API as the loop's `Model`."""

    def __init__(self, host: Host, conversation_id: str) -> None:
        import anthropic

        self.version = f"anthropic {anthropic.__version__}"
        self.name = host.spec.model or AnthropicApi.capabilities.default_model
        self._conversation_id = conversation_id
        self._client = anthropic.AsyncAnthropic(
            api_key=secret(host, AnthropicApi.capabilities.api_key_env),
            base_url=host.spec.endpoint.base_url or BASE_URL,
            max_retries=0,  # the loop retries, so that the human sees it
            timeout=anthropic.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        )

    async def step(self, items: list[Item], instructions: str, sink: Sink) -> Step:
        """One streamed call; words go to `sink`. Raises ModelError."""
        import anthropic
        import httpx2

        reply = _Reply(sink)
        try:
            await self._stream(items, instructions, reply)
        except anthropic.APIStatusError as error:
            self._tell_quota(error.response.headers, sink, error.status_code == 429)
            message = error.api_message or error.message
            headers = error.response.headers
            raise refused(
                sink, error.status_code, error.type or "", message, headers, error.body
            ) from error
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            raise broken(sink, error) from error
        finally:
            reply.tell_usage()  # a call that broke off was paid for too
        return reply.step()

    def say(self, items: list[Item], text: str) -> None:
        """Append the human's words, to the last user message where one is open."""
        _user_content(items).append({"type": "text", "text": text})

    def reply(self, items: list[Item], text: str) -> None:
        """Append what the model had said before it was cut off."""
        items.append({"role": "assistant", "content": [{"type": "text", "text": text}]})

    def answer(self, items: list[Item], call_id: str, text: str, is_error: bool) -> None:
        """Append a tool's result."""
        _user_content(items).append(
            {
                "type": "tool_result",
                "tool_use_id": call_id,
                "content": text,
                "is_error": is_error,
            }
        )

    def unanswered(self, items: list[Item]) -> list[str]:
        """Ids of the calls that have no result yet."""
        blocks = [block for item in items[-2:] for block in cast(list[Block], item["content"])]
        answered = {block.get("tool_use_id") for block in blocks}
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        return [call_id for call_id in calls if call_id not in answered]

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _stream(self, items: list[Item], instructions: str, reply: "_Reply") -> None:
        system = [{"type": "text", "text": instructions, "cache_control": _CACHE}]
        stream = await self._client.messages.create(
            model=self.name,
            max_tokens=MAX_TOKENS,
            system=cast("list[TextBlockParam]", system),
            tools=cast("list[ToolParam]", _TOOLS),
            messages=cast("list[MessageParam]", _cached(items)),
            metadata={"user_id": self._conversation_id},
            stream=True,
        )
        async with stream:
            self._tell_quota(stream.response.headers, reply.sink, False)
            async for event in stream:
                reply.take(event.model_dump(mode="json", exclude_unset=True, warnings=False))

    def _tell_quota(self, headers: Mapping[str, str], sink: Sink, is_refused: bool) -> None:
        found = []
        for name in _WINDOWS:
            limit, left, reset = (
                headers.get(f"anthropic-ratelimit-{name}-{field}")
                for field in ("limit", "remaining", "reset")
            )
            found.append(minute_window(f"{name.replace('-', '_')}_per_minute", limit, left, reset))
        windows = [window for window in found if window is not None]
        if told := quota(windows, is_refused, "response headers"):
            sink.emit(told)


class _Reply:
    """One message, put together from its stream."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._model = ""
        self._blocks: list[Block] = []
        self._inputs: dict[int, str] = {}
        self._usage: dict[str, Any] = {}
        self._told: dict[str, int] = {}  # of the usage
        self._stop: str | None = None
        self._complete = False

    def take(self, event: dict[str, Any]) -> None:
        """Take one event of the stream."""
        event = self.sink.keep(event)
        match event["type"]:
            case "message_start":
                self._model = event["message"]["model"]
                self._usage = event["message"]["usage"]
                self.tell_usage()  # its input is paid for, whoever dies before the end
            case "content_block_start":
                self._blocks.append(event["content_block"])
            case "content_block_delta":
                self._delta(event["index"], event["delta"])
            case "content_block_stop":
                self.sink.end(str(event["index"]))
            case "message_delta":
                self._stop = event["delta"].get("stop_reason")
                told = {k: v for k, v in event.get("usage", {}).items() if v is not None}
                self._usage = self._usage | told
            case "message_stop":
                self._complete = True

    def tell_usage(self) -> None:
        """Emit the tokens of this call that were not told before."""
        usage = self._usage
        details = usage.get("output_tokens_details") or {}
        tokens = {
            "output_tokens": usage.get("output_tokens") or 0,
            "input_tokens": usage.get("input_tokens") or 0,
            "cache_write_tokens": usage.get("cache_creation_input_tokens") or 0,
            "cache_read_tokens": usage.get("cache_read_input_tokens") or 0,
            "reasoning_tokens": details.get("thinking_tokens") or 0,
        }
        more = {name: max(0, count - self._told.get(name, 0)) for name, count in tokens.items()}
        self._told = tokens
        if any(more.values()):
            self.sink.emit(Usage(self._model, **more))

    def step(self) -> Step:
        """What the message means to the loop; raises ModelError where it is none."""
        if not self._complete:
            raise broken(self.sink, "the stream ended early")
        if self._stop == "refusal":
            message = "The model refused to go on with this conversation; rephrase the task."
            raise ModelError("invalid", message, raw=self.sink.raw)
        if self._stop == "model_context_window_exceeded":
            message = "The conversation no longer fits the model; start a new session."
            raise ModelError("context", message, raw=self.sink.raw)
        calls = self._calls()
        content = [b for b in self._blocks if b["type"] != "text" or b["text"].strip()]
        texts = [b["text"] for b in content if b["type"] == "text"]
        stop = _STOPS.get(self._stop or "", "end")
        return Step(
            [{"role": "assistant", "content": content}] if content else [],
            calls,
            last_words(texts),
            stop,
            self.sink.raw,
        )

    def _delta(self, index: int, delta: dict[str, Any]) -> None:
        block = self._blocks[index]
        match delta["type"]:
            case "text_delta":
                block["text"] += delta["text"]
                self.sink.say(str(index), delta["text"])
            case "thinking_delta":
                block["thinking"] += delta["thinking"]
                self.sink.think(str(index), delta["thinking"])
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "input_json_delta":
                self._inputs[index] = self._inputs.get(index, "") + delta["partial_json"]

    def _calls(self) -> list[Call]:
        calls = []
        for index, block in enumerate(self._blocks):
            if block["type"] != "tool_use":
                continue
            given, problem = arguments(self._inputs.get(index, ""))
            if self._stop == "max_tokens" and index == len(self._blocks) - 1:
                problem = CUT
            block["input"] = {} if problem else given
            calls.append(Call(block["id"], block["name"], given, problem))
        return calls


def _user_content(items: list[Item]) -> list[Block]:
    if not items or items[-1]["role"] != "user":
        items.append({"role": "user", "content": []})
    return cast(list[Block], items[-1]["content"])


def _cached(items: list[Item]) -> list[Item]:
    """The conversation, with cache marks at the end of its last two user messages."""
    marked = list(items)
    users = [index for index, item in enumerate(items) if item["role"] == "user"]
    for index in users[-2:]:
        content = list(cast(list[Block], items[index]["content"]))
        content[-1] = {**content[-1], "cache_control": _CACHE}
        marked[index] = {**items[index], "content": content}
    return marked


_TOOLS = [
    {"name": tool.name, "description": tool.description, "input_schema": tool.schema}
    for tool in TOOLS
]
