"""The published specification, and a page to try it."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

import flask_openapi_swagger
from flask import Response, render_template_string, send_from_directory
from flask_openapi import OpenAPI
from flask_openapi_swagger.templates import swagger_html_string
from pydantic_core import to_json

from web.access import access
from web.specification.document import published

ABOUT = """Durable LLM jobs for AI agents: a POST that makes work answers 202 with a job.

`Prefer: wait=N` waits for its end, `Idempotency-Key` makes a repeat harmless, errors are RFC 9457
problems. Free JSON, as `metadata`, is handed back as it was given; its numbers are 64-bit integers or
doubles, so `1e-400` comes back as `0.0`."""

FILES = Path(flask_openapi_swagger.__file__).parent / "templates" / "swagger"
INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def register(app: OpenAPI) -> None:
    """`/openapi.json`, `/docs`, and the files that the page needs."""
    with app.app_context():
        html = render_template_string(
            swagger_html_string, doc_url="openapi.json", swagger_config=None, oauth_config=None
        )
    headers = {"Content-Security-Policy": _policy(html)}

    @cache
    def document() -> bytes:
        return to_json(published(app))

    @access(public=True)
    def specification() -> Response:
        return Response(document(), content_type="application/json")

    @access(public=True)
    def page() -> Response:
        return Response(html, headers=headers)

    @access(public=True)
    def file(name: str) -> Response:
        return send_from_directory(FILES, name, max_age=86400)

    app.add_url_rule("/openapi.json", "openapi", specification)
    app.add_url_rule("/docs", "docs", page)
    app.add_url_rule("/swagger/<path:name>", "docs_file", file)


def _policy(html: str) -> str:
    """Lets exactly this page's inline script run. Swagger UI sets styles inline wherever it draws."""
    scripts = [hashlib.sha256(text.encode()).digest() for text in INLINE_SCRIPT.findall(html)]
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in scripts)
    return (
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
