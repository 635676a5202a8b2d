"""A job as a line for a shell, which asks the same again. Pure."""

from __future__ import annotations

import json
import shlex

from core.jobs.document import Job

PATHS = {
    "chat": "chat",
    "agent_message": "message",
    "llm_test": "llm-test",
    "agent_start": "start",
    "agent_stop": "stop",
}
WITH_BODY = frozenset({"chat", "agent_message"})


def of(job: Job, base: str) -> str | None:
    """None: the job was not made by one JSON request, or what was asked was erased."""
    path = PATHS.get(job["kind"])
    if path is None or job["agent_id"] is None or job["request"] is None:
        return None
    url = f"{base}/api/v1/agents/{job['agent_id']}/{path}"
    lines = [f"curl -s -X POST {shlex.quote(url)}", '-H "Authorization: Bearer $VUTLER_API_KEY"']
    if job["kind"] in WITH_BODY:
        body = json.dumps(job["request"], ensure_ascii=False, default=str)
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(body)}"]
    return " \\\n  ".join(lines)
