"""Driver id to its class. Data, imported lazily: one line a driver."""

from importlib import import_module
from typing import cast

from agents.base import Driver
from agents.errors import AgentNotFound

DRIVERS = {
    "claude_code": "agents.drivers.claude_code:ClaudeCode",
    "codex": "agents.drivers.codex:Codex",
    "anthropic_api": "agents.drivers.anthropic_api:AnthropicApi",
    "openai_api": "agents.drivers.openai_api:OpenAIApi",
    "scripted": "agents.drivers.scripted:Scripted",
}

# Files of a repository by which vendors' tools are steered or made to run something: patterns of
# lower-case paths, for those who must know that a change touches them.
STEERING = (
    r"(agents|agent|claude|gemini|qwen|copilot-instructions|skill)(\.local|\.override)?\.md$",
    r"\.(claude|codex|agents|cursor|gemini|windsurf|clinerules|roo|opencode)/",
    r"\.(mcp\.json|cursorrules|windsurfrules|clinerules|aider\.conf\.yml)$",
)


def driver(driver_id: str) -> Driver:
    """The driver of that id; raises AgentNotFound with the known ids."""
    try:
        module, name = DRIVERS[driver_id].split(":")
    except KeyError:
        raise AgentNotFound(driver_id, f"known drivers are {', '.join(sorted(DRIVERS))}") from None
    return cast(Driver, getattr(import_module(module), name)())
