"""Lanes: whose id is next, for whoever has how much of it under way."""

from datetime import timedelta

import pytest

from core.clock import utcnow
from core.ids import new_id
from core.jobs.lanes import BELLS, Lanes


@pytest.fixture
def lanes(redis_client):
    return Lanes(redis_client)


def send(lanes, workspace_id="w1", *, priority=None, queue="chat", n=1):
    """So many new jobs; the ids, oldest first."""
    jobs = [
        {
            "_id": new_id(),
            "queue": queue,
            "workspace_id": workspace_id,
            "created_by": "k1",
            "agent_id": "a1",
            "priority": priority,
        }
        for _ in range(n)
    ]
    for job in reversed(jobs):
        lanes.send(job)
    return [job["_id"] for job in jobs]


def take(lanes, n=1, *, has=None, free=10, background=5, queue="chat"):
    """What is taken, one after another: a ticket, or why there is none."""
    taken = (lanes.take(queue, has or {}, free, background=background) for _ in range(n))
    return [found if isinstance(found, str) else found[0] for found in taken]


def ids(tickets):
    return [ticket.job_id for ticket in tickets]


def test_a_ticket_comes_out_as_it_went_in(lanes):
    (job_id,) = send(lanes, priority="background")
    (ticket,) = take(lanes)
    assert (ticket.job_id, ticket.workspace_id, ticket.key_id) == (job_id, "w1", "k1")
    assert (ticket.agent_id, ticket.queue, ticket.priority) == ("a1", "chat", "background")


def test_a_lane_gives_the_oldest_first_whenever_it_was_sent(lanes):
    sent = send(lanes, n=5)
    assert ids(take(lanes, 5)) == sent
    assert take(lanes) == ["nothing"]


def test_a_job_that_is_sent_twice_is_there_once(lanes, redis_client):
    (job_id,) = send(lanes)
    lanes.put(take(lanes)[0])
    lanes.put(take(lanes)[0])
    assert ids(take(lanes)) == [job_id]
    assert take(lanes) == ["nothing"]


def test_workspaces_take_turns_whatever_their_backlogs(lanes):
    send(lanes, "greedy", n=20)
    send(lanes, "w2", n=2)
    send(lanes, "w3", n=2)
    first = [ticket.workspace_id for ticket in take(lanes, 6)]
    assert sorted(first) == ["greedy", "greedy", "w2", "w2", "w3", "w3"]


def test_whoever_sends_again_and_again_keeps_its_turn(lanes):
    send(lanes, "w1")
    send(lanes, "w2")
    send(lanes, "w1", n=3)
    assert [ticket.workspace_id for ticket in take(lanes, 2)] == ["w1", "w2"]


def test_what_was_sent_and_taken_wakes_nobody_once_more(lanes, redis_client):
    send(lanes, n=3)
    take(lanes, 4)
    assert not redis_client.exists("vutler:lanes:chat:bell")


def test_who_has_least_under_way_is_next(lanes):
    send(lanes, "w1", n=2)
    send(lanes, "w2", n=2)
    tickets = take(lanes, 2, has={"w1": 3, "w2": 1})
    assert [ticket.workspace_id for ticket in tickets] == ["w2", "w2"]


def test_slots_stay_free_for_who_comes_next(lanes):
    send(lanes, "greedy")
    assert take(lanes, has={"greedy": 8}, free=2) == ["not yours"]
    send(lanes, "w2")
    assert take(lanes, has={"greedy": 8}, free=2)[0].workspace_id == "w2"
    assert take(lanes, has={"greedy": 7}, free=2)[0].workspace_id == "greedy"


def test_one_workspace_alone_gets_the_only_slot(lanes):
    (job_id,) = send(lanes)
    assert ids(take(lanes, free=1)) == [job_id]


def test_background_waits_while_anything_interactive_can_be_served(lanes):
    (low,) = send(lanes, "w1", priority="background")
    (high,) = send(lanes, "w2", priority="interactive")
    assert ids(take(lanes, 2)) == [high, low]


def test_background_is_not_taken_where_it_has_its_half(lanes):
    (low,) = send(lanes, priority="background")
    assert take(lanes, background=0) == ["not yours"]
    (high,) = send(lanes)
    assert ids(take(lanes, background=0)) == [high]
    assert ids(take(lanes)) == [low]


def test_several_are_taken_as_if_one_after_another(lanes):
    send(lanes, "w1", n=4)
    send(lanes, "w2", n=2)
    send(lanes, "w3", n=2, priority="background")
    taken = lanes.take("chat", {"w1": 1}, 10, 7, background=2)
    assert [ticket.workspace_id for ticket in taken] == ["w2", "w1", "w2", "w1", "w1", "w1", "w3"]
    assert [ticket.priority for ticket in taken] == ["interactive"] * 6 + ["background"]
    assert len(ids(taken)) == len(set(ids(taken)))
    assert [ticket.workspace_id for ticket in lanes.take("chat", {}, 10, 7, background=2)] == ["w3"]


def test_several_leave_what_the_next_may_need(lanes):
    send(lanes, "greedy", n=20)
    taken = lanes.take("chat", {}, 10, 20, background=5)
    assert len(taken) == 8  # with two slots free, eight are four times as many
    assert lanes.take("chat", {"greedy": 8}, 2, 2, background=5) == "not yours"


def test_no_more_of_low_priority_than_may(lanes):
    low = send(lanes, n=3, priority="background")
    assert ids(lanes.take("chat", {}, 10, 5, background=2)) == low[:2]
    (high,) = send(lanes)
    assert ids(lanes.take("chat", {}, 10, 5, background=1)) == [high, low[2]]


def test_queues_know_nothing_of_each_other(lanes):
    (job_id,) = send(lanes, queue="isolation")
    assert take(lanes) == ["nothing"]
    assert ids(take(lanes, queue="isolation")) == [job_id]


def test_it_tells_how_many_wait_by_workspace_and_since_when(lanes):
    send(lanes, "w1", n=3)
    send(lanes, "w1", priority="background", n=2)
    send(lanes, "w2")
    waiting = lanes.waiting("chat")
    assert {name: n for name, (n, _) in waiting.items()} == {"w1": 5, "w2": 1}
    assert abs(utcnow() - waiting["w1"][1]) < timedelta(minutes=1)
    take(lanes, 6)
    assert lanes.waiting("chat") == {}


def test_a_lane_that_was_lost_alone_stops_nobody(lanes, redis_client):
    send(lanes, "w1")
    redis_client.delete("vutler:lanes:chat:interactive:w1")
    (job_id,) = send(lanes, "w2")
    found = [ticket for ticket in take(lanes, 3) if ticket not in ("nothing", "not yours")]
    assert ids(found) == [job_id]


def test_what_nobody_waits_for_rings_no_more_than_so_many_bells(lanes, redis_client):
    send(lanes, n=BELLS + 10)
    assert redis_client.llen("vutler:lanes:chat:bell") == BELLS
