"""What a path by itself says of a change: how close a look it deserves, and why.

The defaults, for paths that the repository's quarterdeck.toml says nothing of.
"""

import re
from dataclasses import dataclass

from agents.registry import STEERING
from app.git.config import Care
from app.services.sizes import kind_of


@dataclass(frozen=True)
class PathRule:
    """A level of care with its reason; `kind` and `points` are the risk's that goes with it."""

    level: Care
    says: str
    kind: str = "paths"
    points: int = 0


_STUDY: tuple[tuple[PathRule, re.Pattern[str]], ...] = tuple(
    (PathRule("study", says, kind, points), re.compile(pattern))
    for says, kind, points, pattern in (
        ("steers the agents", "paths", 50, "|".join(f"(^|/){name}" for name in STEERING)),
        (
            "runs on your machine",
            "executes",
            60,
            r"(^|/)(\.githooks|\.husky|\.devcontainer|\.vscode|\.idea)/"
            r"|(^|/)(\.envrc|lefthook\.ya?ml|\.pre-commit-config\.yaml|\.gitattributes)$",
        ),
        (
            "continuous integration",
            "paths",
            40,
            r"^\.(github/(workflows|actions)|circleci|buildkite|woodpecker|forgejo|gitea)/"
            r"|^\.github/(codeowners|dependabot\.ya?ml)$|(^|/)codeowners$"
            r"|(^|/)(\.gitlab-ci|\.travis|\.drone|appveyor|azure-pipelines|bitbucket-pipelines"
            r"|cloudbuild|buildspec)\.ya?ml$|(^|/)jenkinsfile",
        ),
        (
            "schema or migration",
            "schema",
            40,
            r"(^|/)(migrations?|alembic/versions|db/migrate|schema)/"
            r"|\.(sql|prisma|proto|thrift|avsc|graphql|gql)$"
            r"|(^|/)(schema\.rb|openapi\.(json|ya?ml)|swagger\.(json|ya?ml))$",
        ),
        (
            "build, release or deployment",
            "paths",
            30,
            r"(^|/)(gnu)?makefile$|(^|/)justfile$|(^|/)(dockerfile|containerfile)[^/]*$"
            r"|(^|/)(docker-)?compose[^/]*\.ya?ml$|\.(mk|cmake|tf|tfvars|nix|spec|bazel|bzl)$"
            r"|(^|/)(setup\.(py|cfg)|manifest\.in|build\.rs|rakefile|cmakelists\.txt|pom\.xml)$"
            r"|\.gradle(\.kts)?$|(^|/)\.?goreleaser\.ya?ml$|(^|/)(deploy|helm|k8s|ansible)/"
            r"|(^|/)(\.npmrc|\.pypirc|pip\.conf|vercel\.json|netlify\.toml|procfile)$",
        ),
    )
)
_SENSITIVE = PathRule("study", "access, secrets or money, by its name", "paths", 30)
_SENSITIVE_NAMES = re.compile(
    r"(^|[/_.-])(auth|authn|authz|oauth2?|oidc|saml|sso|jwt|login|passwords?|passwd|credentials?"
    r"|secrets?|keyring|crypto|cryptography|encryption|cipher|certs?|tls|security|csrf|cors|acl"
    r"|rbac|permissions?|sandbox|payments?|billing|invoices?|checkout|payouts?)([/_.-]|$)"
)
_BY_KIND = {
    "code": PathRule("read", "code"),
    "tests": PathRule("read", "tests"),
    "docs": PathRule("glance", "documentation"),
    "generated": PathRule("read", "generated files"),
    "locks": PathRule("read", "lock files"),
}


def rule_of(path: str) -> PathRule:
    """The default rule for a path: the first that fits, what is best looked at closely first."""
    lower = path.lower()
    for rule, pattern in _STUDY:
        if pattern.search(lower):
            return rule
    kind = kind_of(path)
    return _SENSITIVE if kind == "code" and _SENSITIVE_NAMES.search(lower) else _BY_KIND[kind]
