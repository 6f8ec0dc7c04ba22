"""Everything that can go wrong in the app. One sentence with the way out; fields for the caller."""


class AppError(Exception):
    """Something the human can mend."""

    code = "error"
    status = 400  # what HTTP says
    permanent = True  # False: the same request may work later

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())

    @property
    def message(self) -> str:
        return str(self)


class Invalid(AppError):
    """The input is not usable."""

    code = "invalid"
    status = 422


class NotFound(AppError):
    """There is no such thing."""

    code = "not_found"
    status = 404


class Conflict(AppError):
    """It changed in the meantime; look again, then decide."""

    code = "conflict"
    status = 409


class NotSeen(Conflict):
    """Files that its care level wants looked at first were not."""

    code = "not_seen"

    def __init__(self, message: str, *, care: str, missing: tuple[str, ...]) -> None:
        super().__init__(message)
        self.care, self.missing = care, missing


class Unavailable(AppError):
    """Not possible now; try again."""

    code = "unavailable"
    status = 503
    permanent = False


class DatabaseNewer(AppError):
    """A newer Quarterdeck made this database; install that version, or use another home."""

    code = "database_newer"
    status = 503


class DatabaseUnusable(AppError):
    """The database can't be opened; check that it exists and may be written."""

    code = "database_unusable"
    status = 503


class HomeUnusable(AppError):
    """The state directory can't be used; set QUARTERDECK_HOME to a directory you may write."""

    code = "home_unusable"
    status = 503


class ServerRunning(AppError):
    """A server already runs for this home."""

    code = "server_running"
    status = 409


class ServerNotRunning(AppError):
    """No server runs for this home; start one with `quarterdeck serve`."""

    code = "server_not_running"
    status = 503


class PortTaken(AppError):
    """The port is taken; choose another with --port, or 0 for a free one."""

    code = "port_taken"
    status = 503


class RemoteRefused(AppError):
    """Listening beyond this machine needs --allow-remote."""

    code = "remote_refused"


class GitError(AppError):
    """Git could not do it."""

    code = "git_error"
    status = 500

    def __init__(self, message: str = "", *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail  # git's own words, for the log


class GitTimeout(GitError):
    """Git took too long and was stopped; try again when the machine is less busy."""

    code = "git_timeout"
    status = 503
    permanent = False


class RepositoryBusy(GitError):
    """Another operation holds this repository; try again in a moment."""

    code = "repository_busy"
    status = 503
    permanent = False


class RepositoryRefused(AppError):
    """The repository can't be used as it is."""

    code = "repository_refused"

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"{reason}: {hint}")
        self.reason, self.hint = reason, hint


class BranchRefused(AppError):
    """The branch name can't be used."""

    code = "branch_refused"
    status = 422


class BranchExists(AppError):
    """The branch exists already."""

    code = "branch_exists"
    status = 409

    def __init__(self, branch: str) -> None:
        super().__init__(f"The branch {branch} exists already: choose another title or delete it.")
        self.branch = branch


class BranchVanished(AppError):
    """The branch or commit is gone."""

    code = "branch_vanished"
    status = 409

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is no longer in the repository: choose another base or branch.")
        self.name = name


class BaseMoved(AppError):
    """The base branch moved since the merge was computed; it has to be computed again."""

    code = "base_moved"
    status = 409
    permanent = False

    def __init__(self, ref: str, expected: str, actual: str) -> None:
        super().__init__(
            f"{ref} is at {actual[:12] or 'nothing'}, not at {expected[:12]}: "
            "merge again on its new state."
        )
        self.ref, self.expected, self.actual = ref, expected, actual


class MergeConflict(AppError):
    """The changes conflict with the base."""

    code = "merge_conflict"
    status = 409

    def __init__(self, paths: tuple[str, ...]) -> None:
        shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
        super().__init__(f"Conflicts with the base in {shown}: send it back to the agent.")
        self.paths = paths


class NothingToMerge(AppError):
    """The branch holds nothing that the base does not have."""

    code = "nothing_to_merge"
    status = 409


class WorktreeUnreadable(GitError):
    """A file of the worktree can't be read, so it can't be kept."""

    code = "worktree_unreadable"
    status = 409

    def __init__(self, path: str, why: str) -> None:
        path = path.encode("utf-8", "backslashreplace").decode()  # a name need not be text
        super().__init__(
            f"{path} can't be kept ({why}): make it readable or delete it, then retry."
        )
        self.path = path


class ConfigInvalid(AppError):
    """The repository's quarterdeck.toml is wrong."""

    code = "config_invalid"
    status = 422

    def __init__(self, problem: str, *, field: str = "", line: int | None = None) -> None:
        where = f" line {line}" if line else ""
        what = f" [{field}]" if field else ""
        super().__init__(f"quarterdeck.toml{where}{what}: {problem}")
        self.problem, self.field, self.line = problem, field, line


class SetupFailed(AppError):
    """The repository's setup command failed in a fresh worktree."""

    code = "setup_failed"

    def __init__(self, command: str, said: str) -> None:
        super().__init__(
            f"The setup command `{command}` failed ({said}); mend it in quarterdeck.toml, "
            "then start the task again."
        )
        self.command, self.said = command, said


class PushRefused(AppError):
    """The remote did not take the branch."""

    code = "push_refused"
    status = 409

    def __init__(self, remote: str, why: str) -> None:
        super().__init__(f"{remote} did not take it: {why}.")
        self.remote, self.why = remote, why


class PullRefused(AppError):
    """The branch is at the remote, but no pull request was opened."""

    code = "pull_refused"
    status = 409

    def __init__(self, why: str) -> None:
        super().__init__(f"The branch is pushed, but no pull request was opened: {why}.")
        self.why = why
