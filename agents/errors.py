"""What can go wrong with an agent. Errors carry fields and say whether trying again helps."""

from agents.events import RETRYABLE, ErrorKind


class AgentError(Exception):
    """An agent could not do what was asked."""

    permanent = True

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class AgentNotFound(AgentError):
    """The agent's program was not found; install it or name its path."""

    def __init__(self, driver: str, hint: str) -> None:
        super().__init__(f"{driver} was not found: {hint}")
        self.driver, self.hint = driver, hint


class SessionAlreadyRunning(AgentError):
    """A live runner already holds this session's lock; it was not started twice."""


class RunnerUnreachable(AgentError):
    """The session's runner does not answer; it may have ended."""

    permanent = False


class ProtocolError(AgentError):
    """The vendor's program said something its protocol does not allow."""


class CommandRefused(AgentError):
    """The runner refused the command in its present state."""


class VendorError(AgentError):
    """The vendor's program or service reported a failure of a known kind."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.permanent = kind not in RETRYABLE
