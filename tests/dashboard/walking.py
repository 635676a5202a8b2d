"""A walk through all pages: from one to those that it links to, one of each kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from playwright.sync_api import Page

from web.dashboard.pages import PAGES

LINKS = "links => links.map(link => link.getAttribute('href'))"
ELSEWHERE = ("/docs", "/static/", "/openapi.json")
NO_PAGE = re.compile(r"\.csv$|/(content|download)$")
NAMED = re.compile(r"[^/]*\d[^/]*")


def walk(page: Page) -> Iterator[str]:
    """The path of each page, when it is shown: those of the navigation, and those that they lead to."""
    waiting, known = [row.path for row in PAGES], {kind(row.path) for row in PAGES}
    while waiting:
        path = waiting.pop(0)
        page.goto(path)
        yield path
        for found in page.locator("a[href^='/']:not([download])").evaluate_all(LINKS):
            if leads_to_a_page(found) and kind(found) not in known:
                known.add(kind(found))
                waiting.append(found)


def leads_to_a_page(link: str) -> bool:
    return not link.startswith(ELSEWHERE) and not NO_PAGE.search(urlsplit(link).path)


def kind(link: str) -> str:
    """Its path without the names of objects: those have digits in them."""
    return NAMED.sub("*", urlsplit(link).path)
