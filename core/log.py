"""Logs: one JSON line an event in production, readable lines in development, on standard output.

Whoever knows the `request_id` or the `job_id` binds it as a context variable; it then stands on every line.
Of an exception only its type and its place are written, since its text may quote a prompt or a key. A field
that is named like a secret is blanked.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
import traceback
from functools import lru_cache
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from core.config import Settings

SECRET = re.compile("api[_-]key|authorization|password|secret|sealed|messages|prompt", re.IGNORECASE)
"""Found in the name of a field that holds a key or a prompt."""
QUIET = ("urllib3", "pymongo", "apscheduler", "botocore", "boto3", "s3transfer", "dramatiq")


def configure(settings: Settings, *, process: str) -> None:
    """Set up logging for this process, that of libraries included."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # no line is lost for a letter that it cannot write
        sys.stdout.reconfigure(errors="backslashreplace")
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(process),
        type_and_place,
        blank_secrets,
    ]
    render = _renderer(settings)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def type_and_place(_: Any, __: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and its frames, without its text and without local values."""
    raised = event.pop("exc_info", None)
    error = sys.exc_info()[1] if raised is True else raised[1] if isinstance(raised, tuple) else raised
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)
        event["where"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def blank_secrets(_: Any, __: str, event: EventDict) -> EventDict:
    """Blank the fields whose name says that they hold a key or a prompt."""
    for name in event:
        if _is_secret(name):
            event[name] = "[hidden]"
    return event


@lru_cache
def _is_secret(name: str) -> bool:
    return SECRET.search(name) is not None


class _Lines:
    """Our own lines, past `logging`, in half the time. That nobody reads them any more fails nobody."""

    def __init__(self, *_: object) -> None:
        """The name of the logger is not said."""

    def write(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    debug = info = warning = error = critical = exception = write


def _named(process: str) -> Processor:
    def add(_: Any, __: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)
        return event

    return add


def _renderer(settings: Settings) -> Processor:
    if settings.production:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
