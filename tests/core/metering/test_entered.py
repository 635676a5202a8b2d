"""Rows of places: each job is entered once and none is forgotten, in whichever order they come."""

import pytest
from pymongo.errors import OperationFailure
from pymongo.monitoring import CommandListener

from core.callbacks import outbox
from core.history import batches
from core.jobs import lease
from core.jobs.claim import claim, finish, note_unkept
from core.jobs.model import queued_again
from core.jobs.places import AT_ONCE, place
from core.metering import ledger
from core.metering.entered import Entered, Row, waits
from tests.conftest import patient
from tests.core.jobs.test_queries import by_indexes
from tests.core.metering.rows import PRICES, call, finished
from tests.core.metering.rows import enter as enter_all
from tests.factory import queued


@pytest.fixture
def process(db):
    return registered(db)


@pytest.fixture
def entered():
    return Entered()


@pytest.fixture
def enter(db, entered):
    """One tick of a leader that remembers its rows; how many ledger rows and jobs it took."""

    def enter(**more):
        done = enter_all(db, entered=entered, **more)
        return done.get("rows", 0), done.get("jobs", 0)

    return enter


def registered(db):
    return lease.register(db, role="chat", host="h", queues=["chat"], slots=1, version="test", in_line=True)


def ended(db, process_id, number, *, calls=None, **changes):
    """The id of a job that ended in this place; without a number it is `due`."""
    job = claim(db, queued(db, **changes)["_id"], process_id)
    at = place(process_id, number) if number else None
    assert finish(
        db, job, status="succeeded", calls=[call()] if calls is None else calls, result={}, place=at
    )
    return job["_id"]


def row(db, process_id):
    found = db.processes.find_one({"_id": process_id})
    return found["entered"], found["in_line"]


def books(db):
    return sorted(row["job_id"] for row in db.token_usage.find())


def test_jobs_in_a_row_are_entered_and_keep_their_places(db, process, enter):
    ids = sorted(ended(db, process, n) for n in (1, 2, 3))
    assert enter() == (3, 3)
    assert books(db) == ids
    assert row(db, process) == (3, True)
    assert {job["meter"] for job in db.jobs.find()} == {place(process, n) for n in (1, 2, 3)}
    assert all(job["meter"] == job["place"] for job in db.jobs.find())
    assert enter() == (0, 0), "nothing is looked at twice"


def test_a_gap_is_not_passed_and_what_is_behind_it_is_entered_once(db, process, enter):
    ended(db, process, 1)
    for n in (3, 4):
        ended(db, process, n)
    assert enter() == (3, 3)
    assert row(db, process) == (1, True)
    assert enter() == (0, 0)
    ended(db, process, 2)
    assert enter() == (1, 1)
    assert row(db, process) == (4, True)


def test_two_gaps_are_closed_one_after_the_other(db, process, enter):
    for n in (2, 4):
        ended(db, process, n)
    enter()
    assert row(db, process) == (0, True)
    ended(db, process, 3)
    enter()
    assert row(db, process) == (0, True)
    ended(db, process, 1)
    enter()
    assert row(db, process) == (4, True)


def test_another_leader_goes_on_where_the_last_one_was(db, process, enter):
    ids = [ended(db, process, n) for n in (1, 3)]
    enter()
    ids += [ended(db, process, n) for n in (2, 4)]
    other = Entered()
    assert enter_all(db, entered=other) == {"rows": 2, "jobs": 3}, "the one behind the gap is met again"
    assert books(db) == sorted(ids)
    assert row(db, process) == (4, True)
    ended(db, process, 5)
    assert enter() == (1, 1), "and the first, which remembers less, goes on where the other was"


def test_a_leader_that_is_behind_takes_nothing_back(db, process, enter):
    late = Entered()
    ended(db, process, 1)
    late.look(db)
    jobs = list(late.waiting(db, 10, {"place": 1}))
    ended(db, process, 2)
    enter()
    late.note(jobs)
    late.save(db)
    assert row(db, process) == (2, True)


def test_rows_of_several_processes_are_apart(db, process, enter):
    other = registered(db)
    ended(db, process, 1)
    ended(db, other, 1)
    ended(db, other, 2)
    assert enter() == (3, 3)
    assert (row(db, process), row(db, other)) == ((1, True), (2, True))


def test_it_takes_at_most_so_many_of_each_row(db, process, enter):
    for n in range(1, 6):
        ended(db, process, n)
    assert [enter(limit=2) for _ in range(4)] == [(2, 2), (2, 2), (1, 1), (0, 0)]
    assert row(db, process) == (5, True)


def test_of_a_living_process_so_many_gaps_are_asked_for_as_it_may_leave(db, process, enter):
    ended(db, process, AT_ONCE + 2)
    enter()
    for n in (AT_ONCE + 1, AT_ONCE):
        ended(db, process, n)
    assert enter() == (1, 1)


def test_of_a_dead_process_each_gap_is_asked_for_before_it_is_over(db, process, enter):
    ended(db, process, 2 * AT_ONCE)
    enter()
    late = ended(db, process, AT_ONCE + 10)  # and those before it never come
    lease.retire(db, process)
    for _ in range(3):
        enter()
    assert late in books(db)
    assert row(db, process)[1] is False


def test_what_lies_further_than_a_tick_reaches_is_entered_too_once_nobody_comes(db, process, enter):
    jobs = [ended(db, process, n) for n in (502, 505, 1200)]
    lease.retire(db, process)
    for _ in range(8):
        enter()
    assert set(jobs) <= set(books(db))
    assert row(db, process)[1] is False


def test_nothing_is_written_where_it_did_not_go_on(db, process, entered, enter):
    ended(db, process, 1)
    enter()
    entered.look(db)
    db.processes.update_one({"_id": process}, {"$set": {"entered": 0}})
    entered.save(db)
    assert row(db, process) == (0, True)


def test_a_row_that_is_over_is_not_looked_at_any_more(db, process, enter):
    lease.retire(db, process)
    enter()
    ended(db, process, 1)
    assert enter() == (0, 0)


class Sent(CommandListener):
    """What a client sends: commands with their collections."""

    def __init__(self):
        self.commands = []

    def started(self, event):
        self.commands.append((event.command_name, event.command.get(event.command_name)))

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def test_it_does_not_write_to_a_job_in_its_place(db, settings, process):
    ended(db, process, 1)
    sent = Sent()
    with patient(settings, event_listeners=[sent]) as client:
        assert enter_all(client[db.name], entered=Entered()) == {"rows": 1, "jobs": 1}
    assert ("update", "processes") in sent.commands
    assert ("update", "jobs") not in sent.commands


def test_what_is_in_rows_is_found_without_a_look_at_other_jobs(db, settings, process, entered):
    gone = registered(db)
    for n in range(1, 40):
        finished(db, [], created_by=f"k{n}")
    enter_all(db)
    claim(db, queued(db)["_id"], gone)
    lease.retire(db, gone)
    for n in (1, 3):
        ended(db, process, n)
    with by_indexes(db, settings, whole=("processes", "aside", "workspace_prices")) as watched:
        for _ in range(2):
            assert enter_all(watched, entered=entered).get("jobs", 0) in (2, 0)


def test_a_crash_before_it_is_noted_is_mended_by_the_next_tick(db, process, entered, enter):
    for n in (1, 2):
        ended(db, process, n)

    def dies(db, jobs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.enter(db, PRICES, outbox=dies, entered=entered)
    assert row(db, process) == (0, True)
    assert enter() == (0, 2)
    assert len(books(db)) == 2
    assert row(db, process) == (2, True)


def test_a_dead_process_without_a_running_job_is_in_line_no_longer(db, process, enter):
    for n in (1, 3):  # the one between was never stored
        ended(db, process, n)
    lease.retire(db, process)
    assert enter() == (2, 2)
    assert row(db, process) == (1, True), "it may not have been the last"
    enter()
    assert row(db, process) == (1, False)
    assert len(books(db)) == 2


def test_a_dead_process_with_a_running_job_stays_in_line_and_its_late_end_is_entered(db, process, enter):
    job = claim(db, queued(db)["_id"], process)
    lease.retire(db, process)
    for _ in range(2):
        enter()
    assert row(db, process) == (0, True)
    finish(db, job, status="succeeded", calls=[call()], result={}, place=place(process, 1))
    assert enter() == (1, 1)
    enter()
    assert row(db, process) == (1, False)


def test_a_job_of_another_process_keeps_no_dead_one_in_line(db, process, enter):
    claim(db, queued(db)["_id"], registered(db))
    queued(db)
    lease.retire(db, process)
    enter()
    assert row(db, process) == (0, False)


def test_an_end_between_the_look_and_the_reading_is_not_missed(db, process, entered):
    job = claim(db, queued(db)["_id"], process)
    lease.retire(db, process)
    entered.look(db)
    assert list(entered.waiting(db, 10, {"meter": 1})) == []
    finish(db, job, status="succeeded", calls=[call()], result={}, place=place(process, 1))
    entered.save(db)
    assert row(db, process) == (0, True)


def test_a_dead_process_stays_in_line_until_all_were_read(db, process, enter):
    for n in range(1, 6):
        ended(db, process, n)
    lease.retire(db, process)
    seen = []
    while row(db, process)[1]:
        seen.append(enter(limit=2)[0])
    assert seen == [2, 2, 1, 0]


def test_calls_that_come_after_the_end_are_entered_and_the_job_stands_in_its_place_again(db, process, enter):
    job_id = queued(db)["_id"]
    slow = claim(db, job_id, "p0")
    db.jobs.update_one({"_id": job_id}, {"$set": queued_again(slow["created_at"])})
    fast = claim(db, job_id, process)
    finish(db, fast, status="succeeded", calls=[call(attempt=2)], result={}, place=place(process, 1))
    note_unkept(db, slow, [call()])
    ended(db, process, 2)
    assert enter() == (3, 2), "it is due, and no longer in its row"
    assert row(db, process) == (2, True), "which has no gap for that"
    assert db.jobs.find_one({"_id": job_id})["meter"] == place(process, 1)
    assert enter() == (0, 0)
    assert sorted(row["kept"] for row in db.token_usage.find({"job_id": job_id})) == [False, True]


def test_late_calls_of_a_job_that_was_entered_are_not_lost(db, process, enter):
    job_id = ended(db, process, 1)
    enter()
    note_unkept(db, {"_id": job_id, "attempt": 7, "owner": "p0"}, [call(attempt=7)])
    assert enter() == (1, 1)
    assert db.jobs.find_one({"_id": job_id})["meter"] == place(process, 1)
    assert enter() == (0, 0)


def test_a_job_that_cannot_be_entered_leaves_the_row_and_holds_up_nobody(db, process, enter):
    broken = ended(db, process, 1, calls=[call(started_at=None)])
    ended(db, process, 2)
    assert enter() == (1, 1)
    assert row(db, process) == (2, True)
    assert db.jobs.find_one({"_id": broken})["meter"] == "due"
    assert enter() == (0, 0), "it was put aside"
    db.jobs.update_one({"_id": broken}, {"$set": {"calls": [{**call(), "attempt": 1}]}})
    db.aside.update_many({}, {"$set": {"next_at": call()["started_at"]}})
    assert enter() == (1, 1)
    assert db.jobs.find_one({"_id": broken})["meter"] == place(process, 1)


def test_those_without_a_place_are_entered_beside_them(db, process, enter):
    due = ended(db, process, None)
    ended(db, process, 1)
    assert enter() == (2, 2)
    assert "meter" not in db.jobs.find_one({"_id": due})


@pytest.mark.parametrize("said", ["far", None, 1.5, [1], {"n": 1}, True, -1, 10**15])
def test_a_process_that_says_oddly_how_far_it_is_stops_nobody(db, process, enter, said):
    db.processes.insert_one({"_id": "odd", "in_line": True, "entered": said})
    odd, even = ended(db, "odd", 1), ended(db, process, 1)
    waiting = waits(db)
    assert [waiting(db.jobs.find_one({"_id": one})) for one in (odd, even)] == [True, True]
    assert enter() == (2, 2)
    assert enter() == (0, 0)
    assert row(db, process) == (1, True)


def test_a_place_of_a_process_that_nobody_knows_is_left_alone(db, enter):
    ended(db, "stranger", 1)
    assert enter() == (0, 0)


def test_whether_a_job_waits(db, process, enter):
    ids = [ended(db, process, n) for n in (1, 3)]
    ids.append(ended(db, process, None))
    running = claim(db, queued(db)["_id"], process)["_id"]
    stuck = ended(db, process, None)
    db.jobs.update_one({"_id": stuck}, {"$set": {"meter": "stuck"}})

    def found():
        waiting = waits(db)
        return [waiting(db.jobs.find_one({"_id": one})) for one in (*ids, running, stuck)]

    assert found() == [True, True, True, False, False]
    enter()
    assert found() == [False, True, False, False, False], "behind a gap nobody is sure"
    lease.retire(db, process)
    db.jobs.update_one({"_id": running}, {"$set": {"owner": "p0"}})
    enter()
    assert found() == [False] * 5
    db.processes.delete_one({"_id": process})
    assert found() == [False] * 5


def test_whether_it_waits_is_read_after_the_job(db, process, enter):
    waiting = waits(db)
    first = db.jobs.find_one({"_id": ended(db, process, 1)})
    assert waiting(first)
    second = db.jobs.find_one({"_id": ended(db, process, 2)})
    enter()
    assert not waiting(second)
    assert not waiting(first)


def test_numbers_far_apart_leave_the_gaps_between_them():
    one = Row()
    for number in (2, 5, 1):
        one.note(number)
    assert (one.entered, one.last, one.gaps) == (2, 5, {3, 4})
    one.skip(3)
    assert (one.entered, one.last, one.gaps) == (3, 5, {4})
    one.skip(9)
    assert (one.entered, one.last, one.gaps) == (9, 9, set())
    one.note(10)
    assert one.entered == 10


def run_twice(db, process_id):
    """The id of a job that its second claim has, the first of which left calls that cannot be entered."""
    job_id = queued(db)["_id"]
    slow = claim(db, job_id, "p0")
    db.jobs.update_one({"_id": job_id}, {"$set": queued_again(slow["created_at"])})
    note_unkept(db, slow, [call(started_at=None)])
    return claim(db, job_id, process_id)


def test_a_job_that_is_put_aside_when_it_ends_is_due_and_not_forgotten(db, process, enter):
    job = run_twice(db, process)
    enter()
    assert db.aside.count_documents({}) == 1
    finish(db, job, status="succeeded", calls=[call(attempt=2)], result={}, place=place(process, 1))
    enter()
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert kept["meter"] == "due"
    assert waits(db)(kept)


def test_a_job_that_waits_aside_is_passed_and_delays_nobody_behind_it(db, process, enter):
    job_id = ended(db, process, 1)
    note_unkept(db, {"_id": job_id, "attempt": 7, "owner": "p0"}, [call(attempt=7, started_at=None)])
    for n in range(2, 6):
        ended(db, process, n)
    enter()
    assert row(db, process) == (5, True)
    assert waits(db)(db.jobs.find_one({"_id": job_id}))


def test_a_job_that_cannot_even_be_made_due_is_not_passed(db, process, entered):
    odd, even = ended(db, process, 1, calls=[call(started_at=None)]), ended(db, process, 2)
    enter_all(Refusing(db), entered=entered)
    assert row(db, process) == (0, True)
    assert waits(db)(db.jobs.find_one({"_id": odd}))
    assert books(db) == [even]
    enter_all(db, entered=entered)
    assert row(db, process) == (2, True)
    assert db.jobs.find_one({"_id": odd})["meter"] == "due"


class Refusing:
    """A database that changes no single job."""

    def __init__(self, db):
        self._db = db

    def __getattr__(self, name):
        return RefusingJobs(self._db.jobs) if name == "jobs" else getattr(self._db, name)

    def __getitem__(self, name):
        return self._db[name]


class RefusingJobs:
    def __init__(self, jobs):
        self._jobs = jobs

    def __getattr__(self, name):
        return getattr(self._jobs, name)

    def update_one(self, *_, **more):
        raise OperationFailure("internal server error")


def test_a_job_that_becomes_due_between_the_two_reads_is_noted_once_in_the_history(db, process, meanwhile):
    job_id = ended(db, process, 1)
    late = {"_id": job_id, "attempt": 7, "owner": "p0"}
    meanwhile.before("find", "aside", lambda: note_unkept(db, late, [call(attempt=7)]))
    ledger.enter(meanwhile.db, PRICES, outbox=outbox, note=batches.note, entered=Entered())
    (told,) = [fact for batch in db.history_batches.find() for fact in batch["jobs"]]
    (kept,) = db.token_usage.find({"kept": True})
    assert told["cost"] == kept["cost"]


@pytest.mark.parametrize("odd", ["due", ["x"], 7, "p1/x"])
def test_an_odd_place_is_cleared_like_none(db, enter, odd):
    job_id = ended(db, "p", None)
    db.jobs.update_one({"_id": job_id}, {"$set": {"place": odd}})
    assert enter() == (1, 1)
    assert enter() == (0, 0)
    assert "meter" not in db.jobs.find_one({"_id": job_id})


@pytest.mark.parametrize("odd", ["x", "0000000000023000000", "000000000002" + "0" * 5000])
def test_an_odd_mark_in_a_row_is_passed_over(db, process, entered, enter, odd):
    ended(db, process, 1)
    job_id = ended(db, process, 2)
    mark = f"{process}/{odd}"
    db.jobs.update_one({"_id": job_id}, {"$set": {"meter": mark, "place": mark}})
    ended(db, process, 3)
    enter()
    assert entered._rows[process].gaps == {2}
    assert waits(db)(db.jobs.find_one({"_id": job_id}))
    lease.retire(db, process)
    for _ in range(3):
        enter()
    assert row(db, process)[1] is False


def test_of_a_process_that_does_not_say_whether_it_lives_the_jobs_are_entered(db, process, enter):
    db.processes.update_one({"_id": process}, {"$unset": {"dead": ""}})
    ended(db, process, 1)
    assert enter() == (1, 1)
    assert row(db, process) == (1, True)
