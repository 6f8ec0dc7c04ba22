"""Contracts of work that goes well: turns, tokens, steering, permissions, resuming."""

import os
import signal
from contextlib import suppress

from agents.conformance.looking import (
    answer_all,
    gone,
    head,
    refused,
    said,
    tool_children,
)
from agents.events import (
    Failed,
    PermissionRequested,
    PermissionResolved,
    SessionStarted,
    Text,
    ToolCall,
    ToolResult,
    TurnEnded,
    TurnStarted,
)
from agents.rehearsal.scenario import Library
from agents.testing import Stage

INTERRUPT_SECONDS = 5.0


async def works(stage: Stage) -> None:
    """A turn changes the worktree, commits, tells its words and its tokens, and completes."""
    spec = stage.spec("happy")
    before = head(spec)
    async with stage.session("happy") as live:
        ended = await live.turn()
        assert (ended.outcome, ended.error) == ("completed", None), ended
        assert live.host.of(SessionStarted)[0].conversation_id
        assert [turn.turn_id for turn in live.host.of(TurnStarted)] == [ended.turn_id]
        assert head(spec) != before, "the agent's commit is not in the worktree"
        calls = {call.call_id for call in live.host.of(ToolCall)}
        assert calls == {result.call_id for result in live.host.of(ToolResult)}
        assert calls
        assert all(call.title for call in live.host.of(ToolCall))
        assert ended.summary
        assert said(live).endswith(ended.summary)
        assert not live.host.of(Failed)
    assert live.host.exit is not None, "close() must end with host.ended()"


async def finishes_each_text_once(stage: Stage) -> None:
    """Pieces of one message concatenate, and exactly one piece is the final one."""
    async with stage.session("happy") as live:
        await live.turn()
        finals = [piece.message_id for piece in live.host.of(Text) if piece.final]
        assert sorted(finals) == sorted({piece.message_id for piece in live.host.of(Text)})


async def counts_tokens_once(stage: Stage) -> None:
    """The tokens are those that the server sent; a second turn adds its own and no others."""
    steps = Library().scenarios["happy"].turns[0].steps
    async with stage.session("happy") as live:
        await live.turn()
        first = live.tokens()
        assert first[0] == sum(step.output_tokens or 0 for step in steps)
        assert min(sum(first[1:]), len(stage.requests) - len(steps)) >= 0
        await live.turn("thanks")
        second = live.tokens()
        assert 0 < second[0] - first[0] < first[0], (first, second)


async def keeps_raw_lines(stage: Stage) -> None:
    """What came from the vendor points at the line it came from."""
    async with stage.session("happy") as live:
        await live.turn()
        rows = zip(live.host.events, live.host.raws, strict=True)
        raws = [raw for event, raw in rows if isinstance(event, (Text, ToolCall, ToolResult))]
        assert all(raw is not None for raw in raws)
        data = live.host.vendor.read_bytes()
        assert all(raw == 0 or data[raw - 1 : raw] == b"\n" for raw in raws if raw is not None)


async def follows_up(stage: Stage) -> None:
    """A second message in the same session sees the first conversation."""
    async with stage.session("echo") as live:
        await live.turn("first-words")
        ended = await live.turn("second-words")
        assert ended.outcome == "completed"
        assert "first-words" in stage.requests[-1]
        assert "second-words" in stage.requests[-1]


async def steers(stage: Stage) -> None:
    """A message during a tool call reaches the running turn; no second turn is made."""
    async with stage.session("steer") as live:
        assert not await live.say()
        await live.until(ToolCall)
        assert await live.say("steered-words")
        ended = await live.end()
        assert ended.outcome == "completed"
        assert len(live.host.of(TurnStarted)) == 1
        assert any("steered-words" in request for request in stage.requests)


async def interrupts(stage: Stage) -> None:
    """An interrupt ends the turn and its tool within five seconds; the next turn works."""
    async with stage.session("interrupt") as live:
        await live.say()
        await live.until(ToolCall)
        children = await tool_children(stage.tmp)
        await live.connection.interrupt()
        ended = await live.end(seconds=INTERRUPT_SECONDS)
        assert (ended.outcome, ended.error) == ("interrupted", None)
        assert not live.host.of(Failed)
        await gone(children)
        again = len(live.host.of(TurnEnded))
        await live.say("again")
        assert len(live.host.of(TurnStarted)) == 2
        await live.host.wait(
            lambda host: len(host.of(ToolCall)) > 1 or len(host.of(TurnEnded)) > again
        )
        await live.connection.interrupt()
        await live.end(again)


async def interrupts_silence(stage: Stage) -> None:
    """A model that stopped in the middle of a sentence can be interrupted as well."""
    async with stage.session("stall") as live:
        await live.say()
        await live.host.wait(lambda _host: bool(stage.requests) and bool(live.host.of(TurnStarted)))
        if live.host.of(TurnEnded):
            raise AssertionError("the scenario did not stall")
        await live.connection.interrupt()
        assert (await live.end(seconds=INTERRUPT_SECONDS)).outcome == "interrupted"


async def interrupts_idle(stage: Stage) -> None:
    """Interrupting a session that does nothing changes nothing."""
    async with stage.session("echo") as live:
        await live.connection.interrupt()
        assert (await live.turn("hello")).outcome == "completed"


async def asks_and_obeys_allow(stage: Stage) -> None:
    """A permission is asked for; allowed, the tool runs."""
    async with stage.session("ask", permissions="ask") as live:
        await live.say()
        asked = await live.until(PermissionRequested)
        assert asked.title
        assert asked.tool == "execute"
        assert not live.host.of(TurnEnded)
        while not live.host.of(TurnEnded):
            await answer_all(live, "allow")
        assert live.host.of(TurnEnded)[0].outcome == "completed"
        assert not any(result.is_error for result in live.host.of(ToolResult))


async def asks_and_obeys_deny(stage: Stage) -> None:
    """Denied, the tool does not run, the agent is told why, and the turn goes on to its end."""
    async with stage.session("ask", permissions="ask") as live:
        await live.say()
        await live.until(PermissionRequested)
        while not live.host.of(TurnEnded):
            await answer_all(live, "deny", "not-today")
        assert live.host.of(TurnEnded)[0].outcome == "completed"
        assert live.host.of(PermissionResolved)[0].decision == "deny"


async def forgets_old_questions(stage: Stage) -> None:
    """An interrupt withdraws an open question, and answering it then is refused."""
    async with stage.session("ask", permissions="ask") as live:
        await live.say()
        asked = await live.until(PermissionRequested)
        await live.connection.interrupt()
        await live.end()
        resolved = [row.request_id for row in live.host.of(PermissionResolved)]
        assert resolved == [asked.request_id]
        await refused(live.connection.answer(asked.request_id, "allow"))


async def resumes_after_close(stage: Stage) -> None:
    """A closed session goes on with the same conversation."""
    async with stage.session("echo") as live:
        await live.turn("before-closing")
        conversation = live.host.of(SessionStarted)[0].conversation_id
    async with stage.session("echo", resume=conversation) as live:
        started = live.host.of(SessionStarted)[0]
        assert (started.conversation_id, started.resumed) == (conversation, True)
        assert (await live.turn("after-closing")).outcome == "completed"
        assert "before-closing" in stage.requests[-1]


async def resumes_after_kill(stage: Stage) -> None:
    """kill -9 of the vendor's program in a tool call is a crash; resume goes on with it."""
    async with stage.session("interrupt") as live:
        await live.say("before-the-kill")
        await live.until(ToolCall)
        started = live.host.of(SessionStarted)[0]
        assert started.pid, "a driver with a process tells its pid"
        children = await tool_children(stage.tmp)
        os.kill(started.pid, signal.SIGKILL)
        await live.host.wait(lambda host: host.exit is not None)
        assert [failure.error for failure in live.host.of(Failed)] == ["crashed"]
        assert [turn.outcome for turn in live.host.of(TurnEnded)] == ["failed"]
        for child in children:  # with no runner around it, a tool outlives a killed program
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    async with stage.session("echo", resume=started.conversation_id) as live:
        assert (await live.turn("after-the-kill")).outcome == "completed"
        assert "before-the-kill" in stage.requests[-1]
