"""Repositories: register the human's clone, find our two clones of it."""

from pathlib import Path

from app.errors import Invalid
from app.git.clones import Clones
from app.git.cloning import prepare
from app.git.names import slugify
from app.git.repositories import inspect
from app.models import Repository
from app.services.context import Context
from app.services.ledger import record
from app.store import repositories


def add_repository(ctx: Context, *, path: str, base_branch: str | None = None) -> Repository:
    """Serve a git repository: inspect it, clone it twice, remember it; safe to repeat."""
    facts = inspect(Path(path).expanduser().absolute(), base_branch)
    if not facts.default_branch:
        names = ", ".join(facts.branches[:10])
        raise Invalid(f"Name the branch that work is merged into with --base: one of {names}.")
    with ctx.db.read() as db:
        known = repositories.by_path(db, str(facts.path))
    if known is not None:
        return known
    slug = _free_slug(ctx, facts.path.name)
    prepare(facts.path, ctx.home.repository(slug))
    repository = Repository(slug=slug, path=str(facts.path), base_branch=facts.default_branch)
    with ctx.db.write() as db:
        db.add(repository)
        record(db, "add", f"repository {slug}", detail={"path": str(facts.path)})
    ctx.publish("fleet", "tasks")
    return repository


def clones_of(ctx: Context, repository: Repository) -> Clones:
    return Clones(Path(repository.path), ctx.home.repository(repository.slug))


def _free_slug(ctx: Context, name: str) -> str:
    wanted, number = slugify(name), 1
    with ctx.db.read() as db:
        taken = {repository.slug for repository in repositories.every(db)}
    slug = wanted
    while slug in taken:
        number += 1
        slug = f"{wanted}-{number}"
    return slug
