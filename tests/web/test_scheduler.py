"""GET /scheduler, POST /scheduler/{name}/run."""

from __future__ import annotations

from core.clock import utcnow
from core.deliveries import born
from core.scheduling import ticks
from core.scheduling.ticks import Notes
from core.store import aside


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


def test_what_a_tick_could_not_handle_is_shown_and_counted(admin, nobody, services):
    Notes(services.db).note("meter", 1, ms=12, result={})
    aside.put(services.db, "meter", "job-1", KeyError("calls"))
    (seen,) = admin.get("/scheduler").json["items"]
    (document,) = seen["aside"]
    assert (document["document"], document["error"], document["times"]) == ("job-1", "KeyError", 1)
    assert 'vutler_documents_aside{loop="meter"} 1.0' in nobody.get("/metrics").text


def test_alerts_that_were_given_up_are_counted(nobody, services):
    told = {
        "workspace_id": "w1",
        "job_id": None,
        "event": "allowance.threshold",
        "url": "https://example.com/",
    }
    services.db.deliveries.insert_one(born("d1", **told, now=utcnow()) | {"state": "failed"})
    assert 'vutler_deliveries_failed{event="allowance.threshold"} 1.0' in nobody.get("/metrics").text
