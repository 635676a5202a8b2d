"""Readiness: the process that we started answers on its port, and no other does.

`/healthz` needs no token, so it answers for whoever holds the port; what knows our token is ours.
"""

from __future__ import annotations

import http.client

from core.outbound.connections import Bounded
from core.runtime.ports import HOST

PATH = "/v1/models"
PATIENCE_S = 3.0


def answers(port: int, token: str, *, timeout_s: float | None = None) -> str | None:
    """None: it does, with our token. Otherwise what is wrong, in words."""
    timeout_s = PATIENCE_S if timeout_s is None else timeout_s
    connection = Bounded(HOST, port, timeout=timeout_s)
    try:
        connection.request("GET", PATH, headers={"Authorization": f"Bearer {token}"})
        status = connection.getresponse().status
    except TimeoutError:
        return f"no answer on port {port} within {timeout_s:g} s"
    except (OSError, http.client.HTTPException):
        return f"nothing answers on port {port} yet"
    finally:
        connection.close()
    if status == http.client.OK:
        return None
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        return f"what answers on port {port} does not know our token: another program holds the port"
    return f"the process answers with {status}"
