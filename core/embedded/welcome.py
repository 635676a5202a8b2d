"""What a newcomer reads once everything answers: the address, the admin key's place, a line to paste."""

from __future__ import annotations

import os
import shlex
from typing import Any

from pymongo.database import Database

from core.accounts import keys, sessions
from core.clock import utcnow
from core.config import Settings
from core.errors import Unauthorized
from core.first_start import KEY_FILE, weak_secrets


def text(settings: Settings, code: str | None = None) -> str:
    """Paths are absolute: the line is pasted into another terminal, in whatever folder that is.

    `code`: signs in to the dashboard, once.
    """
    host = reachable(settings.host)
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    key, where = _admin_key(settings)
    lines = [
        "",
        f"Vutler is ready:  {address}   (docs: {address}/docs)",
        f"The admin key:    {where}",
    ]
    if code is not None:
        lines.append(f"Sign in:          {address}/sign-in/{code}   (once, within an hour)")
    if "CUSTOM_ENDPOINT_ALLOW" not in os.environ and not settings.production:
        lines.append("Local models:     custom endpoints may use ports 11434 (Ollama), 1234 (LM Studio)")
    lines += [f"Warning:          {weak}" for weak in weak_secrets(settings)]
    lines += [
        "Try it (the sandbox answers, no provider key is needed):",
        "",
        f'curl -s {address}/api/v1/agents/demo/chat -H "Authorization: Bearer {key}"'
        " -H 'Content-Type: application/json' -H 'Prefer: wait=30' -d '{\"message\": \"Hello\"}'",
        "",
    ]
    return "\n".join(lines)


def sign_in_code(db: Database[dict[str, Any]], settings: Settings) -> str | None:
    """A code that signs in once as admin; None: the admin's key is not known here."""
    file = settings.data_dir / KEY_FILE
    if settings.admin_api_key is not None:
        key = settings.admin_api_key.get_secret_value()
    elif file.exists():
        key = file.read_text().strip()
    else:
        return None
    try:
        return sessions.make_link(db, keys.of_text(db, key, utcnow()))
    except Unauthorized:
        return None  # it was revoked


def reachable(host: str) -> str:
    """Where to call what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def _admin_key(settings: Settings) -> tuple[str, str]:
    """The admin key in the words of a shell, and in those of a person."""
    file = settings.data_dir.resolve() / KEY_FILE
    if settings.admin_api_key is not None:
        return "$ADMIN_API_KEY", "the ADMIN_API_KEY that you set"
    if not file.exists():
        return "$ADMIN_API_KEY", "one that was made before (python -m core.cli keys create makes another)"
    return f"$(cat {shlex.quote(str(file))})", str(file)
