"""Flask's test client with a key. Paths are below /api/v1, or begin as one of the app's other routes does.

Every answer is held to the specification.
"""

from __future__ import annotations

from typing import Any

from tests import agreeing


def is_page(rule: Any) -> bool:
    """Is this a route of the dashboard?"""
    return rule.endpoint.startswith("dashboard.")


class Client:
    """`client.post("/agents", {"name": "a"})`; headers may be added per call."""

    def __init__(self, app: Any, key: str | None, **headers: str) -> None:
        self.app = app
        self.headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **headers}

    def __call__(self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> Any:
        rules = [rule for rule in self.app.url_map.iter_rules() if not is_page(rule)]
        roots = {rule.rule.split("/")[1] for rule in rules}
        url = path if path.partition("?")[0].split("/")[1] in roots else f"/api/v1{path}"
        client = self.app.test_client()
        answer = client.open(url, method=method, headers={**self.headers, **(headers or {})}, **more)
        agreeing.check(self.app, method, url, answer)
        return answer

    def get(self, path: str, **more: Any) -> Any:
        return self("GET", path, **more)

    def post(self, path: str, json: Any = None, **more: Any) -> Any:
        return self("POST", path, **(more if json is None else {"json": json, **more}))

    def put(self, path: str, json: Any, **more: Any) -> Any:
        return self("PUT", path, json=json, **more)

    def patch(self, path: str, json: Any, **more: Any) -> Any:
        return self("PATCH", path, json=json, **more)

    def delete(self, path: str, **more: Any) -> Any:
        return self("DELETE", path, **more)
