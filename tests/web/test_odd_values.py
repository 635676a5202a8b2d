"""Odd values in every header, cookie, query parameter and cursor of the specification: none is a 5xx.

Long digits, odd dates, bad base64, control characters. A new parameter is covered as it is published.
"""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from flask_openapi.utils import parse_rule

from tests import agreeing
from tests.web.conftest import ADMIN
from web.sessions import COOKIE
from web.specification.headers import ASKED

DIGITS = "9" * 5000


def cursor(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


CURSORS = [
    cursor(f"{DIGITS} a"),
    cursor("-62135596800001 a"),
    cursor("-9223372036854775809 a"),
    cursor("253402300800000 a"),
    cursor("253402300799999 a"),
    cursor("1_000 a"),
    cursor("١٢٣ a"),
    cursor("1700000000000 \0"),
    cursor("1700000000000"),
    cursor("a b c"),
    "====",
    "a",
    "é",
]
DATES = [
    "0000-01-01",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2026-02-30",
    "2026-13-01T25:61:61Z",
    "+275760-09-13",
    "2026-11-26T00:00:00+99:99",
    "1e400",
    "-1",
]
OF_HEADERS = [
    DIGITS,
    f"wait={DIGITS}",
    f"bytes={DIGITS}-{DIGITS}",
    f"bytes=-{DIGITS}",
    "bytes=0-0,5-4,-1",
    "Thu, 01 Jan 0000 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:60 +9999",
    f"Mon, 01 Jan {DIGITS} 00:00:00 GMT",
    '"unclosed',
    'W/"',
    "1-" + DIGITS,
    "²-²",
    "\x01\x7f",
    "\xff\xfe",
    ",;,;=",
    "",
]
OF_QUERIES = [
    *(*CURSORS, *DATES, DIGITS, "-" + DIGITS, "1e999", "NaN", ""),
    *("\0", "\x1b[31m\x7f", "\ud800", "²", "١", "a/../b"),
]
OF_ALL = (
    *("Authorization", "X-API-Key", "Cookie", "Accept", "Origin", "Host", "Content-Type", "Sec-Fetch-Site"),
    *(
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-HTTP-Method-Override",
        "Accept-Language",
        "Content-Encoding",
    ),
)
KEY = {"Authorization": f"Bearer {ADMIN}"}


@pytest.fixture
def calls(app, routes):
    """(method, path, body, operation) of each call that reads, or makes a job."""
    published, found = agreeing.document(app)["paths"], []
    for method, rule, path, body, _ in routes:
        operation = published.get(parse_rule(rule.rule), {}).get(method.lower())
        if (
            operation
            and not rule.websocket
            and (method == "GET" or "Idempotency-Key" in str(operation["parameters"]))
        ):
            found.append((method, path, body, operation))
    return found


def send(app, method, path, body=None, headers=KEY):
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    given = {} if body is None else {"json": body}
    with app.test_client().open(path, method=method, environ_overrides=environ, **given) as answer:
        shown = {name: value[:60] for name, value in headers.items()}
        assert answer.status_code < 500, (method, path[:300], shown, answer.text)


@pytest.mark.usefixtures("worked_on")
def test_no_odd_header_is_a_5xx(app, calls):
    tried = set()
    for method, path, body, operation in calls:
        for name in (one["$ref"].rpartition("/")[2] for one in operation["parameters"] if "$ref" in one):
            tried.add(name)
            for value in OF_HEADERS:
                send(app, method, path, body, {**KEY, name: value})
    assert tried == set(ASKED)


def test_no_odd_query_is_a_5xx(app, calls):
    tried = set()
    for method, path, body, operation in calls:
        for parameter in operation["parameters"]:
            if parameter.get("in") == "query":
                tried.add(parameter["name"])
                for value in OF_QUERIES:
                    said = quote(value, errors="surrogatepass")
                    send(app, method, f"{path}?{quote(parameter['name'])}={said}", body)
    assert tried >= {"cursor", "since", "limit", "from", "tz", "month"}


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/v1/models", "/sign-in", "/", "/healthz", "/nowhere"])
def test_no_odd_header_of_any_request_is_a_5xx(app, path):
    for name in OF_ALL:
        for value in OF_HEADERS:
            send(app, "GET", path, headers={**KEY, name: value})


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/sign-in", "/"])
def test_no_odd_cookie_is_a_5xx(app, path):
    for value in [*OF_HEADERS, *CURSORS[:-1], "a" * 10_000]:
        send(app, "GET", path, headers={"Cookie": f"{COOKIE}={value}"})
