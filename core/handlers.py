"""The table of job kinds: who carries out what. A new kind is a new row."""

from __future__ import annotations

from core import chat
from core.jobs.run import Handler

HANDLERS: dict[str, Handler] = {
    "chat": chat.run,
    "llm_test": chat.run_test,
}
