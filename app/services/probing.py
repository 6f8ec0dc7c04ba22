"""Asking a vendor's own program about an account, and keeping what it said.

Costs no tokens. One program at a time for an account, each bounded; when to ask: `probe_times`.
"""

import threading
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path

from sqlmodel import Session as Orm

from agents.base import AccountReport
from agents.errors import AgentNotFound
from agents.registry import driver as find_driver
from app.errors import Invalid
from app.models import Account
from app.models.base import utc_now
from app.services import logins, probe_times, quota
from app.services.account_rules import plan_of
from app.services.accounts import secrets
from app.services.context import Context
from app.services.environment import child_environment
from app.services.probe_times import ask, due
from app.store import accounts

__all__ = ["ASK_SECONDS", "ask", "begin", "due", "probe", "show_login", "store"]

ASK_SECONDS = 45.0  # a driver promises 30
_WORDS_CHARS = 400
_running: dict[tuple[str, int], "Future[AccountReport]"] = {}
_lock = threading.Lock()


def probe(ctx: Context, account_id: int) -> None:
    """Ask, wait for the answer up to ASK_SECONDS, and store it."""
    started_at = utc_now()
    try:
        report = begin(ctx, account_id).result(timeout=ASK_SECONDS)
    except TimeoutError:
        report = silence()
    store(ctx, account_id, report, started_at)


def silence() -> AccountReport:
    """What is kept of a program that did not answer in time."""
    says = f"Its program did not answer in {ASK_SECONDS:.0f} s; it is asked again later."
    return AccountReport(logged_in=None, problem=says)


def begin(ctx: Context, account_id: int) -> "Future[AccountReport]":
    """The report to come. Where the account is being asked already, that one's.

    The thread is a daemon: a program that hangs holds up neither us nor our end.
    """
    key = (str(ctx.home.path), account_id)
    probe_times.desk(ctx).asked.discard(account_id)
    with _lock:
        if key in _running:
            return _running[key]
        future: Future[AccountReport] = Future()
        future.set_running_or_notify_cancel()
        _running[key] = future
    threading.Thread(
        target=_answer, args=(ctx, key, future), name=f"probe-{account_id}", daemon=True
    ).start()
    return future


def _answer(ctx: Context, key: tuple[str, int], future: "Future[AccountReport]") -> None:
    try:
        report = _look(ctx, key[1])
    except BaseException as error:  # whoever waits for it is told
        _running.pop(key, None)
        future.set_exception(error)
    else:
        _running.pop(key, None)
        future.set_result(report)


def _look(ctx: Context, account_id: int) -> AccountReport:
    """What the vendor says now; a program is started only where it can have an answer."""
    with ctx.db.read() as db:
        account, others = accounts.get(db, account_id), accounts.every(db)
    if account is None:
        return AccountReport(logged_in=None)
    if problem := logins.missing_directory(account) or _shared(account, others):
        return AccountReport(logged_in=False, problem=problem)
    try:
        env = child_environment(_home(ctx), "quarterdeck") | secrets(account)
        driver, endpoint = find_driver(account.driver), logins.endpoint_of(account)
    except (Invalid, AgentNotFound) as error:
        return AccountReport(logged_in=False, problem=str(error))
    report = driver.read_account(endpoint, env)
    if report.logged_in is None and report.problem and driver.capabilities.needs_binary:
        found = driver.available(endpoint, env)
        if not found.binary:  # without its program nobody can spend it
            return AccountReport(logged_in=False, problem=found.problem or report.problem)
    return report


def _home(ctx: Context) -> Path:
    """A HOME of the probes' own: the agents' and the human's stay as they are."""
    home = ctx.home.path / "prober"
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def _shared(account: Account, others: list[Account]) -> str:
    """A sentence where an older account has the same directory (a link can lead there later)."""
    older = [other for other in others if (other.id or 0) < (account.id or 0)]
    other = logins.sharer(account, older)
    if other is None:
        return ""
    return (
        f"{logins.directory_of(account)} is the directory of {other.name!r} too: give each login "
        f"its own with `quarterdeck account set {account.name!r} --config-dir DIRECTORY`."
    )


def store(ctx: Context, account_id: int, report: AccountReport, at: datetime) -> None:
    """Keep what was said at `at`, when the asking began; an account that is gone is ignored."""
    here = probe_times.desk(ctx)
    with ctx.db.write() as db:
        account = accounts.get(db, account_id)
        if account is None:
            return
        is_doubted = account_id in here.refused and report.quota is None
        login, problem = _verdict(db, account, report, is_doubted=is_doubted)
        _keep(db, account, report)
        account.login, account.login_problem = login, _words(problem)
        account.probed_at = at
        db.add(account)
        if report.quota is not None and login != "out":
            quota.store_readings(db, [(account_id, utc_now(), report.quota)])
    if login != "out" and not is_doubted:
        here.refused.pop(account_id, None)
    told = report.quota is not None and bool(report.quota.windows)
    probe_times.note(ctx, account_id, at, told=told, is_in=login == "in")
    ctx.publish("accounts", "fleet", "wake")


def show_login(ctx: Context, account: Account) -> str:
    """The command with which the human logs in; from now on we look whether it happened."""
    command = logins.login_command(account)
    if not command:
        variable = f"put it into ${account.secret_env}" if account.secret_env else "nothing to do"
        raise Invalid(f"Nobody logs in to {account.name}: it is paid by a key ({variable}).")
    probe_times.watch(ctx, account.id or 0)
    return command


def _verdict(
    db: Orm, account: Account, report: AccountReport, *, is_doubted: bool
) -> tuple[str, str]:
    """(login, problem). What was not told stays; doubted: the service itself had refused it."""
    if report.identity and report.logged_in is not False and (twin := _twin(db, account, report)):
        command = logins.login_command(account)
        way = f": log in as somebody else ({command})" if command else ""
        return "out", f"This is the login of account {twin.name!r} already{way}."
    if report.logged_in is False:
        return "out", report.problem or f"{account.name} is logged out{logins.way_in(account)}."
    if account.login == "out" and (is_doubted or (report.logged_in is None and report.problem)):
        return "out", account.login_problem
    if report.logged_in:
        return "in", report.problem
    return (account.login if report.problem else "unknown"), report.problem


def _twin(db: Orm, account: Account, report: AccountReport) -> Account | None:
    """Another account in use with this identity: its windows would count twice."""
    wanted = report.identity.casefold()
    for other in accounts.every(db):
        is_other = other.id != account.id and other.driver == account.driver
        if is_other and other.login == "in" and other.identity.casefold() == wanted:
            return other
    return None


def _keep(db: Orm, account: Account, report: AccountReport) -> None:
    """Who it is, which plan, what credits; another person's windows are forgotten."""
    identity = _words(report.identity)
    if identity:
        if account.identity and account.identity.casefold() != identity.casefold():
            accounts.forget_windows(db, account.id or 0)
            account.limited_until = None
        account.identity = identity
    if report.logged_in is not None or report.credits:
        account.credits = _words(report.credits)
    account.plan = _plan(account, _words(report.plan))


def _words(told: str) -> str:
    """A vendor's words as a column takes them."""
    return told.replace("\0", "")[:_WORDS_CHARS]


def _plan(account: Account, told: str) -> str:
    """The vendor's word on one of its plans counts; words of the human's own stay."""
    capabilities = logins.can(account)
    now, before = plan_of(capabilities, told), plan_of(capabilities, account.plan)
    if not account.plan:
        return now.id if now else told
    return now.id if now and before else account.plan
