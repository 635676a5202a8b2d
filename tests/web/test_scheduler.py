"""GET /scheduler, POST /scheduler/{name}/run."""

from __future__ import annotations

from core.scheduling import ticks
from core.scheduling.ticks import Notes


def test_what_ticks_did_can_be_seen(admin, services):
    assert admin.get("/scheduler").json == {"items": [], "next_cursor": None}
    Notes(services.db).note("meter", 1, ms=12, result={"rows": 3})
    (seen,) = admin.get("/scheduler").json["items"]
    assert (seen["name"], seen["every_s"], seen["duration_ms"], seen["result"]) == (
        "meter",
        1,
        12,
        {"rows": 3},
    )
    assert seen["error"] is None
    assert seen["next_run"] > seen["last_run"]


def test_one_is_run_when_an_admin_asks(admin, services):
    Notes(services.db).note("rollups", 60, ms=12, result={})
    answer = admin.post("/scheduler/rollups/run")
    assert (answer.status_code, answer.json["name"]) == (202, "rollups")
    assert ticks.asked(services.db) == ["rollups"]
    assert admin.post("/scheduler/no-such/run").status_code == 404
