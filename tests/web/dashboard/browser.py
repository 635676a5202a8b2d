"""A browser without JavaScript over Flask's test client: it keeps cookies, and sends forms with a token."""

from __future__ import annotations

import html
import re
from typing import Any

FORM = re.compile(r"<form[^>]*method=\"post\"[^>]*action=\"([^\"]*)\".*?</form>", re.DOTALL)
TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


class Browser:
    """`browser.sign_in(key)`, `browser.get("/jobs")`, `browser.submit("/jobs/1/cancel")`."""

    def __init__(self, app: Any) -> None:
        self.client = app.test_client()

    def sign_in(self, key: str, **more: Any) -> Any:
        return self.client.post("/sign-in", data={"key": key}, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, **more)

    def page(self, path: str) -> str:
        """The text of a page that is there."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def token(self) -> str:
        """That of the page that is always there."""
        return html.unescape(TOKEN.findall(self.page("/"))[0])

    def submit(self, path: str, fields: dict[str, Any] | None = None, **more: Any) -> Any:
        """Send a form as the pages have them."""
        return self.client.post(path, data={"csrf": self.token(), **(fields or {})}, **more)
