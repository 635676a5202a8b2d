"""Start, stop, restart, message: each a job, carried out by a runner over a host that looks around."""

import json
import threading

import pytest

from core.ids import new_id
from core.jobs import control
from core.jobs.accept import accept
from core.jobs.model import Draft
from core.jobs.run import Runner
from core.runtime import jobs, orders, processes
from core.runtime.states import BACKOFF, READY, STARTING, STOPPED
from core.services import Services
from tests.core.runtime.conftest import READY_S, here, until
from tests.factory import Sent
from tests.waiting import ending
from workers.threads import ThreadWork


class Working:
    """A runner over a world's host. `does` makes a job and waits for its end."""

    def __init__(self, world, redis_client):
        self.world, self.db, self.redis = world, world.db, redis_client
        self.runners = []
        self.start_working()

    def start_working(self):
        """The next worker of this host."""
        world = self.world
        host = world.another_worker()
        host.start()
        services = Services(world.settings, self.db.client, self.redis, host.launch.sealer, Sent())
        handlers = jobs.carried_out_by(host)
        self.runner = Runner(services, new_id(), handlers, start=ThreadWork, lost=lambda: False)
        self.runners.append((self.runner, host))

    def stop_working(self):
        """As when its process is told to end: what runs is handed back."""
        runner, host = self.runners.pop()
        runner.drain()
        runner.hand_back_all()
        until(lambda: not runner.running)
        host.close()

    def asked(self, kind, agent, **request):
        """A job, accepted as the API does it."""
        ask = {"agent_stop": orders.stop, "agent_message": lambda db, agent, _: orders.message(db, agent)}
        job_id = new_id()
        record = ask.get(kind, orders.start)(self.db, agent, job_id)
        draft = Draft(
            kind=kind,
            workspace_id="default",
            agent_id=agent["_id"],
            request=request,
            plan={"on_worker_loss": "fail_once_streamed"},
            created_by="k1",
            request_id="r1",
            host=record["host"],
        )
        return accept(self.db, Sent(), draft, job_id=job_id)[0]["_id"]

    def begin(self, job_id):
        thread = threading.Thread(target=self.runner.run, args=(job_id,))
        thread.start()
        return thread

    def job(self, job_id):
        return self.db.jobs.find_one({"_id": job_id})

    def does(self, kind, agent, **request):
        job_id = self.asked(kind, agent, **request)
        self.runner.run(job_id)
        return self.job(job_id)

    def progress(self, job_id):
        rows = self.redis.xrange(f"vutler:events:{job_id}")
        return [json.loads(fields[b"data"])["status"] for _, fields in rows if fields[b"kind"] == b"progress"]


@pytest.fixture
def working(world_of, redis_client):
    made = []

    def make(**changes):
        made.append(Working(world_of(**changes), redis_client))
        return made[-1]

    yield make
    for one in made:
        while one.runners:
            one.stop_working()


@pytest.fixture
def work(working):
    return working()


@pytest.fixture
def gate(tmp_path):
    """A file: an agent that waits for it is not ready before it is there."""
    return tmp_path / "gate"


def test_a_start_ends_when_it_is_ready_and_tells_its_way(work):
    agent = work.world.agent("slow=0.3")
    job = work.does("agent_start", agent)
    assert (job["status"], job["result"]["status"], job["result"]["already"]) == ("succeeded", READY, False)
    assert job["result"]["pid"] == work.world.process(agent).pid
    assert (job["progress"]["status"], job["progress"]["host"]) == (STARTING, "h1")
    assert work.progress(job["_id"]) == [STARTING]


def test_starting_what_runs_and_stopping_what_rests_changes_nothing(work):
    agent = work.world.agent()
    work.does("agent_start", agent)
    before = work.world.process(agent)
    again = work.does("agent_start", agent)
    assert (again["status"], again["result"]["already"]) == ("succeeded", True)
    assert work.world.process(agent) == before
    assert work.does("agent_stop", agent)["result"] == {"status": STOPPED, "already": False}
    assert work.does("agent_stop", agent)["result"] == {"status": STOPPED, "already": True}
    never = work.world.agent()
    assert work.does("agent_stop", never)["result"] == {"status": STOPPED, "already": True}


def test_two_starts_at_once_give_one_process(work):
    agent = work.world.agent("slow=0.3")
    job_ids = [work.asked("agent_start", agent) for _ in range(2)]
    for thread in [work.begin(job_id) for job_id in job_ids]:
        thread.join()
    ended = [work.job(job_id) for job_id in job_ids]
    assert [job["status"] for job in ended] == ["succeeded", "succeeded"]
    assert {job["result"]["pid"] for job in ended} == {work.world.process(agent).pid}
    assert work.world.alive(agent) == {work.world.process(agent)}


def test_a_start_that_is_given_up_says_why(work):
    job = work.does("agent_start", work.world.agent("exit=78"))
    assert (job["status"], job["error"]["code"]) == ("failed", "not_started")
    assert "exit code 78: this configuration cannot be used" in job["error"]["detail"]


def test_a_start_that_takes_too_long_says_that_its_host_goes_on(working, monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE_S", 0.5 - READY_S)
    work = working()
    agent = work.world.agent("never-ready")
    job = work.does("agent_start", agent)
    assert job["error"]["code"] == "not_ready"
    assert job["error"]["detail"].endswith("its host goes on trying")
    assert work.world.record(agent)["desired"] == "running"


def test_a_start_of_what_cannot_be_started_is_not_wanted_any_more(work):
    agent = work.world.agent()
    job_id = work.asked("agent_start", agent)
    work.db.agents.update_one({"_id": agent["_id"]}, {"$set": {"llm_config": None}})
    work.runner.run(job_id)
    assert work.job(job_id)["error"]["code"] == "llm_config_required"
    assert work.world.record(agent)["desired"] == "stopped"


def test_a_later_stop_ends_a_start_that_is_under_way(work):
    agent = work.world.agent("never-ready")
    starting = work.asked("agent_start", agent)
    thread = work.begin(starting)
    until(lambda: work.world.record(agent)["pid"])
    assert work.does("agent_stop", agent)["status"] == "succeeded"
    thread.join()
    assert work.job(starting)["error"]["code"] == "superseded"
    assert work.world.alive(agent) == set()


def test_an_order_that_comes_after_a_later_one_changes_nothing(work):
    agent = work.world.agent()
    early, late = work.asked("agent_start", agent), work.asked("agent_stop", agent)
    work.runner.run(late)
    work.runner.run(early)
    assert (work.job(late)["status"], work.job(early)["error"]["code"]) == ("succeeded", "superseded")
    assert work.world.record(agent)["status"] == STOPPED


def test_a_start_that_is_cancelled_starts_nothing(work):
    agent = work.world.agent("never-ready")
    job_id = work.asked("agent_start", agent)
    thread = work.begin(job_id)
    until(lambda: work.world.record(agent)["pid"])
    control.cancel(work.db, work.redis, work.job(job_id))
    work.runner.stop(job_id, "cancelled")
    thread.join()
    assert work.job(job_id)["status"] == "cancelled"
    until(lambda: work.world.record(agent)["status"] == STOPPED)
    assert work.world.alive(agent) == set()


def test_a_start_whose_worker_is_told_to_end_goes_on_with_the_next(work, gate):
    agent = work.world.agent(f"waits-for={gate}")
    job_id = work.asked("agent_start", agent)
    work.begin(job_id)
    until(lambda: work.world.record(agent)["pid"])
    before = work.world.process(agent)
    work.stop_working()
    assert work.job(job_id)["status"] == "queued"
    assert processes.alive(before)
    gate.touch()
    work.start_working()
    work.runner.run(job_id)
    assert work.job(job_id)["status"] == "succeeded"
    assert work.world.process(agent) == before


def test_a_restart_takes_what_is_configured_now(work):
    agent = work.world.agent("Be brief.")
    work.does("agent_start", agent)
    before = work.world.process(agent)
    work.db.agents.update_one({"_id": agent["_id"]}, {"$set": {"system_prompt": "Be long."}})
    job = work.does("agent_restart", agent)
    assert (job["status"], job["result"]["went_back"]) == ("succeeded", False)
    assert job["result"]["pid"] == work.world.process(agent).pid != before.pid
    assert (work.world.folder(agent).workspace / "AGENTS.md").read_text() == "Be long."


def test_a_restart_that_goes_back_fails_and_says_so(work):
    agent = work.world.agent("Be brief.")
    work.does("agent_start", agent)
    work.db.agents.update_one({"_id": agent["_id"]}, {"$set": {"system_prompt": "exit=78"}})
    job = work.does("agent_restart", agent)
    assert (job["status"], job["error"]["code"]) == ("failed", "went_back")
    assert "exit code 78" in job["error"]["detail"]
    assert (job["result"]["status"], job["result"]["went_back"]) == (READY, True)
    assert (work.world.folder(agent).workspace / "AGENTS.md").read_text() == "Be brief."


def test_a_restart_that_is_carried_out_again_restarts_once(work, gate):
    agent = work.world.agent(f"waits-for={gate}")
    gate.touch()
    work.does("agent_start", agent)
    gate.unlink()
    job_id = work.asked("agent_restart", agent)
    work.begin(job_id)
    until(lambda: work.world.record(agent)["status"] == STARTING)
    work.stop_working()
    gate.touch()
    work.start_working()
    work.runner.run(job_id)
    assert work.job(job_id)["status"] == "succeeded"
    moves = [event["status"] for event in work.world.record(agent)["events"]]
    assert moves.count("stopping") == 1


def test_what_rests_is_started_by_a_restart(work):
    agent = work.world.agent()
    assert work.does("agent_restart", agent)["result"]["status"] == READY


def test_of_a_silent_host_a_stop_says_so(work):
    agent = work.world.started()
    here(work.db, "h2")
    work.db.runtimes.update_one({"_id": agent["_id"]}, {"$set": {"host": "h9"}, "$inc": {"rev": 1}})
    job = work.does("agent_stop", agent)
    assert job["result"]["note"] == "its host h9 is silent: its process ends when the host is back"
    work.db.runtimes.update_one({"_id": agent["_id"]}, {"$set": {"host": "h1"}, "$inc": {"rev": 1}})


@pytest.fixture
def asked(work, obedient):
    """A running agent whose door is a provider that does as it is told."""
    work.world.settings.__dict__["runtime_door_url"] = f"{obedient}/v1"
    agent = work.world.agent("You are Scout.")
    assert work.does("agent_start", agent)["status"] == "succeeded"
    return agent


def test_a_message_is_answered_by_the_agent(work, asked):
    job = work.does("agent_message", asked, message="words=2", conversation_id="c1")
    assert job["status"] == "succeeded", job["error"]
    assert job["result"] == {
        "message": {"role": "assistant", "content": "word0 word1 "},
        "finish_reason": "stop",
        "conversation_id": "c1",
    }


def test_what_an_agent_answers_can_be_told_to_anybody(work, obedient):
    work.world.settings.__dict__["runtime_door_url"] = f"{obedient}/v1"
    agent = work.world.agent("odd")
    assert work.does("agent_start", agent)["status"] == "succeeded"
    said = work.does("agent_message", agent, message="words=1")["result"]["message"]
    odd = [None, None, None, "\ufffd", {"$ref": "x", "$id": 1, "": {"a.b": -0.0}}]
    assert said == {"role": "assistant", "content": "word0 ", "odd": odd}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_agent_that_answers_without_end_is_cut_off(work, stream):
    work.world.settings.__dict__["provider_answer_bytes"] = 100_000
    agent = work.world.agent("endless")
    assert work.does("agent_start", agent)["status"] == "succeeded"
    job = work.does("agent_message", agent, message="Hi", stream=stream)
    assert (job["status"], job["error"]["code"]) == ("failed", "broken_off")
    assert "larger than allowed" in job["error"]["detail"]


def test_a_turn_that_fails_says_why(work, asked):
    job = work.does("agent_message", asked, message="status=402")
    assert (job["status"], job["error"]["code"]) == ("failed", "turn_failed")
    assert "chat completion failed: 402" in job["error"]["detail"]


def test_a_message_that_is_cancelled_is_cut_off(work, asked):
    job_id = work.asked("agent_message", asked, message="delay=60")
    thread = work.begin(job_id)
    until(lambda: work.job(job_id).get("streamed"))
    control.cancel(work.db, work.redis, work.job(job_id))
    work.runner.stop(job_id, "cancelled")
    ending(thread.join)
    assert work.job(job_id)["status"] == "cancelled"


def test_a_message_that_may_have_been_acted_on_is_not_sent_again(work, asked):
    job_id = work.asked("agent_message", asked, message="delay=60")
    work.begin(job_id)
    until(lambda: work.job(job_id).get("streamed"))
    work.stop_working()
    ended = work.job(job_id)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "worker_lost")


def test_a_message_to_one_that_starts_waits_for_it(work, gate):
    agent = work.world.agent(f"waits-for={gate}")
    threads = [work.begin(work.asked("agent_start", agent))]
    until(lambda: work.world.record(agent)["status"] == STARTING)
    job_id = work.asked("agent_message", agent, message="Hi")
    threads.append(work.begin(job_id))
    until(lambda: work.job(job_id)["status"] == "running")
    gate.touch()
    for thread in threads:
        thread.join()
    assert work.job(job_id)["error"]["code"] in ("turn_failed", "broken_off")  # nobody is behind its door


def test_a_message_to_one_that_has_ended_meanwhile_is_refused_in_words(work):
    agent = work.world.agent()
    work.does("agent_start", agent)
    job_id = work.asked("agent_message", agent, message="Hi")
    work.does("agent_stop", agent)
    work.runner.run(job_id)
    assert work.job(job_id)["error"]["code"] == "not_running"


def test_the_states_of_a_life_are_told_as_events(work):
    agent = work.world.agent("once:dies=0.3")
    work.does("agent_start", agent)
    until(lambda: work.world.record(agent)["restarts"] == 1 and work.world.record(agent)["status"] == READY)
    moves = [event["status"] for event in work.world.record(agent)["events"]]
    assert moves == [STARTING, READY, BACKOFF, STARTING, READY]
