"""Made-up logins in temporary directories, as the vendors' programs would have stored them."""

import base64
import json
from pathlib import Path

from agents.rehearsal.server import RehearsalServer

_NEVER = 4_000_000_000  # when these tokens end


def claude_login(
    directory: Path,
    token: str = "sk-ant-oat01-rehearsed",
    *,
    email: str = "someone@example.invalid",
    tier: str = "default_claude_max_20x",
    kind: str = "max",
) -> Path:
    """A login of Claude Code in that directory; the token is nobody's."""
    directory.mkdir(parents=True, exist_ok=True)
    login = {
        "accessToken": token,
        "refreshToken": "sk-ant-ort01-rehearsed",
        "expiresAt": _NEVER * 1000,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": kind,
        "rateLimitTier": tier,
    }
    (directory / ".credentials.json").write_text(json.dumps({"claudeAiOauth": login}))
    person = {
        "accountUuid": f"account-of-{email}",
        "emailAddress": email,
        "organizationUuid": email.partition("@")[0],
        "organizationName": f"{email}'s Organization",
    }
    (directory / ".claude.json").write_text(json.dumps({"oauthAccount": person}))
    return directory


def codex_login(
    directory: Path,
    rehearsal: RehearsalServer,
    scenario: str = "auto",
    *,
    account_id: str = "account-one",
    email: str = "someone@example.invalid",
    plan: str = "pro",
) -> Path:
    """A ChatGPT login of Codex in that directory, whose settings lead to the rehearsal server."""
    directory.mkdir(parents=True, exist_ok=True)
    who = {
        "chatgpt_plan_type": plan,
        "chatgpt_account_id": account_id,
        "chatgpt_user_id": f"user-{account_id}",
        "user_id": f"user-{account_id}",
    }
    claims = {
        "email": email,
        "iat": 1_795_000_000,
        "exp": _NEVER,
        "sub": f"user-{account_id}",
        "https://api.openai.com/auth": who,
        "https://api.openai.com/profile": {"email": email},
    }
    token = f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}.c2ln"
    tokens = {
        "id_token": token,
        "access_token": token,
        "refresh_token": "rehearsed",
        "account_id": account_id,
    }
    stored = {"OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": "2026-11-22T00:00:00Z"}
    (directory / "auth.json").write_text(json.dumps(stored))
    elsewhere = f"http://localhost:{rehearsal.port}"  # another origin: no workspace routing
    (directory / "config.toml").write_text(
        f'chatgpt_base_url = "{rehearsal.url}/s/{scenario}/backend-api/"\n'
        f'openai_base_url = "{elsewhere}/s/{scenario}/v1"\n'
        "[features]\nenable_request_compression = false\n"
    )
    return directory


def _part(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
