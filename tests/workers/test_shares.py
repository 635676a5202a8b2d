"""Shares: slots that are held, and how many may begin at once."""

from core.jobs.lanes import Ticket
from workers.shares import Shares


def ticket(job_id, workspace_id="w1", priority="interactive"):
    return Ticket(job_id, "chat", priority, workspace_id, "k1", "a1")


def test_slots_are_counted_by_workspace_until_they_are_free_again():
    shares = Shares(slots=4)
    for one in (ticket("1"), ticket("2"), ticket("3", "w2")):
        assert shares.took(one)
    assert (dict(shares.by_workspace), shares.free) == ({"w1": 2, "w2": 1}, 1)
    shares.over("1")
    shares.over("3")
    shares.over("3")
    assert (dict(shares.by_workspace), shares.free) == ({"w1": 1}, 3)


def test_slots_are_counted_by_what_may_have_a_bound():
    shares = Shares(slots=4)
    for one in (ticket("1"), ticket("2", "w2"), ticket("3")):
        shares.took(one)
    assert [shares.of_scope(name) for name in ticket("1").scopes] == [2, 2, 2]
    shares.over("1")
    assert [shares.of_scope(name) for name in ticket("1").scopes] == [1, 1, 1]


def test_one_that_is_over_before_it_has_begun_holds_up_nobody():
    shares = Shares(slots=4, beginning=1)
    shares.took(ticket("1"))
    shares.over("1")
    assert shares.room(0)


def test_a_job_that_is_sent_again_gets_no_second_slot():
    shares = Shares(slots=4)
    assert shares.took(ticket("1"))
    assert not shares.took(ticket("1"))
    assert shares.free == 3


def test_no_more_begin_at_once_than_may():
    shares = Shares(slots=4, beginning=2)
    assert shares.room(0) == 2
    shares.took(ticket("1"))
    assert shares.room(0) == 1
    shares.took(ticket("2"))
    assert shares.room(0) == 0
    shares.begun("1")
    assert shares.room(0) == 1


def test_there_is_no_room_while_all_slots_are_held():
    shares = Shares(slots=1)
    shares.took(ticket("1"))
    shares.begun("1")
    assert not shares.room(0)
    shares.over("1")
    assert shares.room(0)


def test_background_gets_half_of_the_slots_and_one_of_one():
    shares = Shares(slots=4)
    for job_id, left in (("1", 2), ("2", 1)):
        assert shares.background == left
        shares.took(ticket(job_id, priority="background"))
    assert shares.background == 0
    shares.over("1")
    assert shares.background == 1
    assert Shares(slots=1).background
