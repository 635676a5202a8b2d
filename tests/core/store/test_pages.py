"""Pages: every item once, newest first, stable while others are added."""

from datetime import timedelta

import pytest

from core.clock import utcnow
from core.errors import Invalid
from core.store.pages import MOST_BYTES, SENT, page, whole
from tests.conftest import patient
from tests.core.metering.test_reads import Asked


def filled(db, ages_s):
    now = utcnow()
    rows = [
        {
            "_id": f"{n:04}",
            "workspace_id": "w1",
            "created_at": now - timedelta(seconds=age),
            "even": n % 2 == 0,
        }
        for n, age in enumerate(ages_s)
    ]
    db.credentials.insert_many(rows)
    return [row["_id"] for row in sorted(rows, key=lambda r: (r["created_at"], r["_id"]), reverse=True)]


def walk(db, limit, equality=None, **more):
    ids, cursor = [], None
    while True:
        items, cursor = page(
            db.credentials, equality or {"workspace_id": "w1"}, limit=limit, cursor=cursor, **more
        )
        ids += [item["_id"] for item in items]
        if cursor is None:
            return ids
        assert len(items) == limit


@pytest.mark.parametrize("limit", [1, 3, 7, 50])
def test_every_item_comes_once_and_newest_first(db, limit):
    ages = [0, 1, 2, 599, 600, 601, 3600, 86400, 86400 * 40, 86400 * 700]
    expected = filled(db, ages)
    assert walk(db, limit) == expected


def test_items_of_the_same_millisecond_are_neither_lost_nor_repeated(db):
    expected = filled(db, [5] * 23)
    assert walk(db, 4) == expected


def test_inserts_do_not_shift_the_pages(db):
    expected = filled(db, range(10))
    first, cursor = page(db.credentials, {"workspace_id": "w1"}, limit=4)
    db.credentials.insert_one({"_id": "new", "workspace_id": "w1", "created_at": utcnow()})
    second, _ = page(db.credentials, {"workspace_id": "w1"}, limit=6, cursor=cursor)
    assert [i["_id"] for i in first + second] == expected


def test_filters_hold_and_others_are_not_shown(db):
    expected = filled(db, range(9))
    db.credentials.insert_one({"_id": "x", "workspace_id": "w2", "created_at": utcnow()})
    assert walk(db, 2, {"workspace_id": "w1", "even": True}) == [i for i in expected if int(i) % 2 == 0]


def test_since_cuts_what_is_older(db):
    expected = filled(db, [0, 100, 5000])
    assert walk(db, 1, since=utcnow() - timedelta(seconds=1000)) == expected[:2]


@pytest.mark.parametrize("asked", [{}, {"kept": True}], ids=["by its index", "as looked at"])
def test_a_page_is_no_larger_than_it_may_be_but_for_its_first(db, asked):
    large, all_of_a_page = "x" * (MOST_BYTES // 3), "x" * MOST_BYTES
    sizes = [large] * 5 + [all_of_a_page] + ["x"] * 3
    expected = filled(db, range(len(sizes)))
    for one, text in zip(expected, sizes, strict=True):
        db.credentials.update_one({"_id": one}, {"$set": {"text": text, "kept": True}})
    found, cursor, first = [], None, True
    while first or cursor:
        first = False
        items, cursor = page(db.credentials, {"workspace_id": "w1", **asked}, cursor=cursor)
        found.append(ids([items]))
    assert found == [expected[:2], expected[2:4], expected[4:5], expected[5:6], expected[6:]]


def test_documents_come_in_the_order_of_their_ids_without_those_that_are_gone(db):
    wanted = filled(db, range(2 * SENT + 1))[::2]
    db.credentials.delete_one({"_id": wanted[3]})
    found = [row["_id"] for row in whole(db.credentials, wanted)]
    assert found == [*wanted[:3], *wanted[4:]]


@pytest.mark.parametrize("cursor", ["", "x", "%%%", "bm90IG91cnM", "OTk5OTk5OTk5OTk5OTk5OTk5OTkgYQ", "MTIz"])
def test_a_cursor_that_is_not_ours_is_refused(db, cursor):
    if cursor:
        with pytest.raises(Invalid):
            page(db.credentials, {"workspace_id": "w1"}, cursor=cursor)


def test_a_list_that_no_index_serves_is_refused(db):
    with pytest.raises(LookupError, match="credentials is read by"):
        page(db.credentials, {"even": True})


def test_what_was_found_once_is_found_again_among_few(db, settings):
    """A second look at a busy minute of long ago does not read all of it; what came later is seen as well."""
    expected = filled(db, [86_400 + n / 50 for n in range(2500)])
    reads = Asked()
    with patient(settings, event_listeners=[reads]) as client:
        same = client[db.name].credentials
        assert ids(page(same, {"workspace_id": "w1"}, limit=5)) == expected[:5]
        reads.filters.clear()
        assert ids(page(same, {"workspace_id": "w1"}, limit=5)) == expected[:5]
        ranges = [len(list(db.credentials.find(wanted, {"_id": 1}))) for _, wanted in reads.filters]
        assert max(ranges) < 500
        db.credentials.insert_one({"_id": "new", "workspace_id": "w1", "created_at": utcnow()})
        assert ids(page(same, {"workspace_id": "w1"}, limit=3)) == ["new", *expected[:2]]


def test_who_looks_at_old_pages_does_not_delay_who_looks_at_the_newest(db, settings):
    expected = filled(db, [86_400 + n / 50 for n in range(1000)])
    reads, asked = Asked(), {"workspace_id": "w1"}
    with patient(settings, event_listeners=[reads]) as client:
        same = client[db.name].credentials
        cursor = None
        for _ in range(4):
            _, cursor = page(same, asked, limit=200, cursor=cursor)
        reads.filters.clear()
        assert ids(page(same, asked, limit=5)) == expected[:5]
        assert max(db.credentials.count_documents(wanted) for _, wanted in reads.filters) < 500


def test_a_list_of_few_is_read_at_one_look_when_it_was_looked_at_before(db, settings):
    expected = filled(db, [0, 100, 86_400 * 40])
    reads = Asked()
    with patient(settings, event_listeners=[reads]) as client:
        same = client[db.name].credentials
        assert ids(page(same, {"workspace_id": "w1"})) == expected
        assert len(reads.filters) > 5
        for _ in range(2):
            reads.filters.clear()
            assert ids(page(same, {"workspace_id": "w1"})) == expected
            assert len(reads.filters) == 1
        more = [{"_id": f"n{n}", "workspace_id": "w1", "created_at": utcnow()} for n in range(150)]
        db.credentials.insert_many(more)
        for _ in range(2):  # the first look does not know yet that it has many by now
            reads.filters.clear()
            assert len(ids(page(same, {"workspace_id": "w1"}, limit=3))) == 3
        (_, wanted) = reads.filters[0]
        assert utcnow() - wanted["created_at"]["$gte"] < timedelta(minutes=1)


def test_a_part_of_a_list_that_has_few_says_nothing_of_the_whole(db, settings):
    filled(db, [n / 10 for n in range(300)] + [3600, 7200])
    now = utcnow()
    page(db.credentials, {"workspace_id": "w1"}, until=now - timedelta(minutes=30))
    page(db.credentials, {"workspace_id": "w1"}, since=now - timedelta(seconds=1))
    reads = Asked()
    with patient(settings, event_listeners=[reads]) as client:
        page(client[db.name].credentials, {"workspace_id": "w1"}, limit=3)
    assert utcnow() - reads.filters[0][1]["created_at"]["$gte"] < timedelta(minutes=1)


def ids(found):
    return [item["_id"] for item in found[0]]
