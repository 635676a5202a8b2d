"""Places: a row has a number for each job that ended in it, and no gap for good."""

import pytest

from core.jobs.places import AT_ONCE, Places, place, read


class Lease:
    def __init__(self):
        self.fresh = True

    def __call__(self):
        return self.fresh


@pytest.fixture
def lease():
    return Lease()


@pytest.fixture
def places(lease):
    return Places("p1", lease)


def job(name, claim=1, **more):
    return {"_id": name, "fence": f"{name}{claim}", **more}


def test_each_job_takes_the_next_number(places):
    assert [places.take(job(name)) for name in "abc"] == [place("p1", n) for n in (1, 2, 3)]


def test_a_job_has_the_same_place_at_each_try(places):
    assert places.take(job("a")) == places.take(job("a")) == place("p1", 1)
    assert places.take(job("b")) == place("p1", 2)


def test_a_number_that_nobody_has_is_given_again_the_lowest_first(places):
    for name in "abc":
        places.take(job(name))
    places.told(job("b"), kept=False)
    places.told(job("a"), kept=False)
    places.told(job("c"), kept=True)
    assert [places.take(job(name)) for name in "def"] == [place("p1", n) for n in (1, 2, 4)]


def test_a_number_that_is_stored_is_not_given_again(places):
    places.take(job("a"))
    places.told(job("a"), kept=True)
    assert places.take(job("a")) == place("p1", 2)


def test_a_job_that_is_claimed_again_has_not_the_place_of_its_first_claim(places, lease):
    places.take(job("a"))
    assert places.take(job("a", claim=2)) == place("p1", 2)
    lease.fresh = False
    assert places.take(job("a", claim=3)) is None, "the process may have been declared dead since"
    places.told(job("a"), kept=False)
    assert places.take(job("a", claim=2)) == place("p1", 2)


def test_no_more_places_are_open_than_the_ledger_asks_for(places):
    ends = [job(str(n)) for n in range(AT_ONCE + 2)]
    taken = [places.take(end) for end in ends]
    assert taken[AT_ONCE - 1 :] == [place("p1", AT_ONCE), None, None]
    places.told(ends[3], kept=True)
    assert places.take(job("next")) == place("p1", AT_ONCE + 1)
    assert places.take(job("another")) is None


def test_after_an_end_that_nobody_knows_of_no_place_is_taken(places):
    places.take(job("a"))
    assert places.take(job("b"))
    places.told(job("a"), kept=None)
    assert places.take(job("c")) is None
    assert places.take(job("b")) == place("p1", 2), "it may be stored there already"


@pytest.mark.parametrize("kept", [True, False, None])
def test_the_end_of_a_job_without_a_place_says_nothing_of_the_row(places, lease, kept):
    lease.fresh = False
    assert places.take(job("a")) is None
    places.told(job("a"), kept=kept)
    places.told(job("never"), kept=kept)
    lease.fresh = True
    assert places.take(job("b")) == place("p1", 1)


def test_a_process_that_may_have_been_declared_dead_takes_none(places, lease):
    lease.fresh = False
    assert places.take(job("a")) is None
    lease.fresh = True
    assert places.take(job("a")) is None, "its first try may be stored without one"
    assert places.take(job("b")) == place("p1", 1)


def test_a_place_that_was_taken_in_time_stays(places, lease):
    places.take(job("a"))
    lease.fresh = False
    assert places.take(job("a")) == place("p1", 1)


def test_a_job_that_holds_a_part_of_a_budget_takes_none(places):
    assert places.take(job("a", holds={"2026-11": {}})) is None
    assert places.take(job("b", holds={})) == place("p1", 1)


def test_places_stand_in_the_order_of_their_numbers_and_within_their_process():
    assert place("p1", 9) < place("p1", 10) < place("p1", 10**11) < "p1/~" < place("p2", 1)


@pytest.mark.parametrize(
    ("mark", "what"),
    [
        (place("p1", 7), ("p1", 7)),
        ("due", None),
        ("stuck", None),
        (None, None),
        (7, None),
        ("p1/", None),
        ("/7", None),
        ("p1/x", None),
        ("p1/7", None),
        ("p1/0000000000023000000", None),
        (place("p1", 2) + "0" * 5000, None),
        ("p1/00000000000٧", None),
    ],
)
def test_what_is_no_place_is_not_read_as_one(mark, what):
    assert read(mark) == what
