"""The forms of a page, as a browser would send them."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


def forms(page: str) -> dict[str, list[tuple[str, str]]]:
    """The fields that each form would send if nothing were changed, by its address."""
    found = _Forms()
    found.feed(page)
    return found.forms


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: dict[str, list[tuple[str, str]]] = {}
        self.form: list[tuple[str, str]] = []
        self.select: str | None = None
        self.area: str | None = None

    def handle_starttag(self, tag: str, given: Any) -> None:
        of = dict(given)
        match tag:
            case "form":
                self.form = self.forms.setdefault(of.get("action", ""), [])
            case "input" if "name" in of and (of.get("type") != "checkbox" or "checked" in of):
                self.form.append((of["name"], of.get("value", "")))
            case "select":
                self.select = of.get("name")
                self.form.append((self.select or "", ""))
            case "option" if self.select and "selected" in of:
                self.form[-1] = (self.select, of.get("value", ""))
            case "textarea":
                self.area = of["name"]
                self.form.append((self.area, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self.select = None
        if tag == "textarea":
            self.area = None

    def handle_data(self, data: str) -> None:
        if self.area:
            name, before = self.form[-1]
            self.form[-1] = (name, before + data)
