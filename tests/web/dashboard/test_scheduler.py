"""The scheduler's page: what each tick did and when it is next; running one now is an admin's."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.clock import utcnow
from core.scheduling import ticks
from core.scheduling.ticks import Notes


@pytest.fixture
def admin(browser_for):
    return browser_for("admin")


@pytest.fixture
def tick(services):
    Notes(services.db).note("meter", 60, ms=1234, result={"rows_written": 7})
    return "meter"


def test_a_tick_is_shown_with_what_it_did_and_when_it_is_next(admin, tick):
    page = admin.page("/scheduler")
    for said in (tick, "1.2 s", "rows written: 7", ">in 5"):
        assert said in page


def test_a_failed_tick_says_how_it_ended(admin, services):
    Notes(services.db).note("meter", 60, ms=5, result={}, error="OverflowError")
    page = admin.page("/scheduler")
    assert 'class="state failed"' in page
    assert "OverflowError" in page


def test_one_that_found_no_store_says_so_in_words(admin, services):
    Notes(services.db).note("meter", 60, ms=5, result={}, error="ServerSelectionTimeoutError")
    page = admin.page("/scheduler")
    assert "A store did not answer; the next run does it" in page
    assert "ServerSelectionTimeoutError" not in page


def test_a_tick_under_way_is_told_from_one_that_ended(admin, tick, services):
    assert 'class="state running"' not in admin.page("/scheduler")
    Notes(services.db).note_under_way({tick: utcnow() - timedelta(minutes=1)})
    assert 'class="state running"' in admin.page("/scheduler")


def test_one_that_has_not_run_yet_is_not_called_well(admin, services):
    Notes(services.db).announce({"purge": 60})
    page = admin.page("/scheduler")
    assert ">not yet<" in page
    assert 'class="state ok"' not in page


def test_without_a_tick_the_page_says_what_starts_one(admin):
    assert "No scheduler has run yet" in admin.page("/scheduler")


def test_running_one_now_is_asked_of_the_leader(admin, tick, services):
    assert admin.submit(f"/scheduler/{tick}/run").location == "/scheduler"
    assert ticks.asked(services.db) == [tick]


def test_a_tick_that_is_not_there_is_not_asked_for(admin, services):
    assert admin.submit("/scheduler/nothing/run").status_code == 404
    assert ticks.asked(services.db) == []


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_others_neither_see_nor_run_it(browser_for, tick, services, role):
    other = browser_for(role)
    assert other.get("/scheduler").status_code == 403
    assert 'href="/scheduler"' not in other.page("/")
    assert other.submit(f"/scheduler/{tick}/run").status_code == 403
    assert ticks.asked(services.db) == []
