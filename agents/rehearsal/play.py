"""Picks what the scripted model answers to a request: a `Reply`, in no vendor's words yet."""

import msgspec
from msgspec import structs

from agents.rehearsal.conversation import Conversation, call_id
from agents.rehearsal.scenario import Limits, Scenario, Step, Usage
from agents.rehearsal.tools import ToolUse, tool_uses

CLOSING = Step(say="That is done.")


class Reply(msgspec.Struct, frozen=True):
    """One model call's answer with its bill and its pace."""

    think: str
    say: str
    calls: tuple[tuple[str, ToolUse], ...]
    """Pairs of the call's id and the call."""
    usage: Usage
    limits: Limits
    output_tokens: int
    reasoning_tokens: int
    tokens_per_second: float

    def seconds(self) -> float:
        """How long the model writes."""
        return self.output_tokens / self.tokens_per_second if self.tokens_per_second else 0


def settle(scenario: Scenario, conversation: Conversation) -> Conversation:
    """The same conversation, placed back in the last step where it has calls to make yet."""
    place = conversation.place
    turns, before = scenario.turns, place.step - 1
    unfinished = (
        conversation.takes_one_call
        and not place.refused
        and place.turn < len(turns)
        and 0 <= before < len(turns[place.turn].steps)
        and 0 < place.part < len(turns[place.turn].steps[before].calls)
    )
    now = structs.replace(place, step=before) if unfinished else structs.replace(place, part=0)
    return structs.replace(conversation, place=now)


def next_step(scenario: Scenario, conversation: Conversation) -> Step:
    """The step this request is for; outside the script, a short generic answer."""
    place = conversation.place
    if conversation.side_call:
        return Step(say="Rehearsal")
    if place.turn >= len(scenario.turns):
        return Step(say=_acknowledgement(place.prompts))
    steps = scenario.turns[place.turn].steps
    step = steps[place.step] if place.step < len(steps) else CLOSING
    if place.part:
        return Step(calls=step.calls[place.part :], usage=step.usage)
    if place.refused and step.say_if_refused:
        return Step(say=step.say_if_refused, wait_seconds=step.wait_seconds)
    return step


def _acknowledgement(prompts: tuple[str, ...]) -> str:
    line = prompts[-1].splitlines()[0][:200] if prompts else ""
    return f"Understood: “{line}”. This rehearsal has nothing more to play for it."


def reply(scenario: Scenario, conversation: Conversation, step: Step, prefix: str) -> Reply:
    """The step's answer for this client; `prefix` starts the ids of tool calls."""
    place = conversation.place
    calls = tool_uses(
        step.calls, conversation.tools, conversation.directory, conversation.seen_paths
    )
    calls = calls[:1] if conversation.takes_one_call else calls
    say = step.say * step.say_repeat
    say = say.replace("{steer}", place.steer).replace("{prompt}", "".join(place.prompts[-1:]))
    think = step.think if conversation.thinks else ""
    written = len(say) + sum(len(str(use.arguments)) for use in calls)
    return Reply(
        think,
        say,
        tuple(
            (call_id(prefix, place.turn, place.step, index), use)
            for index, use in enumerate(calls, place.part)
        ),
        step.usage or scenario.usage,
        scenario.limits,
        step.output_tokens or max(1, (written + len(think)) // 4),
        len(think) // 4,
        scenario.tokens_per_second,
    )


def pieces(text: str, tokens_per_second: float) -> list[str]:
    """The text cut as a stream brings it: small when paced, at most about 100 when not."""
    size = 16 if tokens_per_second else max(24, len(text) // 100)
    return [text[start : start + size] for start in range(0, len(text), size)]
