"""Headers of every answer: who may call from a browser, and what a browser may do with the answer."""

from __future__ import annotations

from flask import Flask, Response, request

from core.config import Settings

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
CALLABLE = "GET, POST, PUT, PATCH, DELETE"
SENT = (
    "Authorization, X-API-Key, X-Workspace, Content-Type, Prefer, Idempotency-Key, If-None-Match, "
    "If-Range, Range, Last-Event-ID, X-Request-Id, X-Detach"
)
SHOWN = (
    "Location, Retry-After, ETag, X-Request-Id, Preference-Applied, RateLimit, RateLimit-Policy, "
    "Content-Disposition, Content-Range, Accept-Ranges, X-Job-Id"
)
PREFLIGHT_S = "600"


def register(app: Flask, settings: Settings) -> None:
    """Put them on every answer of this app. What a view has set itself stays."""
    origins = {origin.strip().rstrip("/") for origin in settings.cors_origins.split(",") if origin.strip()}

    def add(response: Response) -> Response:
        for name, value in ALWAYS.items():
            response.headers.setdefault(name, value)
        if "Cache-Control" not in response.headers:
            revalidated = "ETag" in response.headers
            response.headers["Cache-Control"] = "private, no-cache" if revalidated else "no-store"
        if request.is_secure and settings.production:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if origins:
            _cors(response, origins)
        return response

    app.after_request(add)


def _cors(response: Response, origins: set[str]) -> None:
    """Keys travel in a header that only a script sets: cookies are never asked for."""
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin is None or not ({origin, "*"} & origins):
        return
    response.headers["Access-Control-Allow-Origin"] = "*" if "*" in origins else origin
    response.headers["Access-Control-Expose-Headers"] = SHOWN
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = CALLABLE
        response.headers["Access-Control-Allow-Headers"] = SENT
        response.headers["Access-Control-Max-Age"] = PREFLIGHT_S
