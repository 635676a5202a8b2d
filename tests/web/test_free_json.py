"""Hostile JSON on every road by which free JSON enters and leaves: it comes back as given, or is refused.

The roads are those of the specification: a place of a body or an answer where names are free has a row here.
"""

from __future__ import annotations

import json
import shlex
from html import unescape

import pytest
from flask_openapi.utils import parse_rule

from core.accounts import keys
from core.agents import portable
from core.agents.agents import demo
from core.agents.fields import AGENT
from core.callbacks import Courier, outbox
from core.errors import Invalid
from core.runtime import records
from tests import agreeing
from tests.hostile import KEPT, REFUSED, lost, places
from tests.providers.scripted import answering, provider, sse, streaming
from tests.providers.vendors import ANTHROPIC_WHOLE, OPENAI_WHOLE
from tests.web.dashboard.browser import Browser
from tests.web.dashboard.forms import forms
from tests.web_client import is_page
from web.dashboard.agents import form
from web.dashboard.frame import formats
from web.dashboard.jobs import curl


def said(**more):
    """A user's message."""
    return {"messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": "hi", **more}]}


def answered(**more):
    """An assistant's message, and one to go on."""
    return {"messages": [{"role": "assistant", "content": "a", **more}, {"role": "user", "content": "b"}]}


def called(**more):
    return answered(
        tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}, **more}]
    )


CALLED = {"name": "f", "arguments": "{}"}
INTO = {
    "metadata": lambda free: {"metadata": free},
    "tools/*": lambda free: {
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object", **free}}},
            free,
        ]
    },
    "tool_choice": lambda free: {"tool_choice": free},
    "response_format": lambda free: {"response_format": free},
    "extra": lambda free: {"extra": free},
    "logit_bias": lambda free: {"logit_bias": dict.fromkeys(free, 1)},
    "messages/*": lambda free: said(free=free),
    "messages/*/content/*": lambda free: said(content=[{"type": "text", "text": "hi", **free}]),
    "messages/*/tool_calls/*": lambda free: called(free=free),
    "messages/*/tool_calls/*/function": lambda free: called(function={**CALLED, "free": free}),
    "messages/*/tool_calls/*/custom": lambda free: called(type="custom", custom=free),
    "messages/*/logprobs": lambda free: answered(logprobs=free),
    "messages/*/reasoning_details/*": lambda free: answered(reasoning_details=[free]),
    "messages/*/annotations/*": lambda free: answered(annotations=[free]),
    "messages/*/audio": lambda free: answered(audio=free),
    "messages/*/images/*": lambda free: answered(images=[free]),
    "messages/*/citations/*": lambda free: answered(citations=[free]),
    "messages/*/search_results/*": lambda free: answered(search_results=[free]),
    "messages/*/thinking_blocks/*": lambda free: answered(thinking_blocks=[free]),
}
"""What a body says at each place where JSON is free."""
PARTS = ("reasoning_details", "annotations", "images", "citations", "search_results")
"""Free JSON in lists of an answer's message."""
NEVER = {
    "functions": "not offered: use `tools`",
    "function_call": "not offered: use `tool_choice`",
    "messages/*/function_call": "null alone, as OpenAI's SDKs dump a message",
    "keys": "by the names of vendors, which are known",
    "llm_config/keys": "by the names of vendors, which are known",
}
"""Places where what is free is refused, whatever it is."""


@pytest.fixture
def roads(app, routes):
    """(operation, method, path, body, place, makes) of each place of a body where JSON is free."""
    published, found = agreeing.document(app), []
    known = published["components"]["schemas"]
    for method, rule, path, body, _ in routes:
        operation = published["paths"].get(parse_rule(rule.rule), {}).get(method.lower())
        content = (operation or {}).get("requestBody", {}).get("content", {})
        for place in {"/".join(at) for one in content.values() for at in places(one["schema"], known)}:
            found.append((operation["operationId"], method, path, body, place))
    return found


def test_each_place_of_a_body_where_json_is_free_has_a_row(roads):
    assert {place for *_, place in roads} == {*INTO, *NEVER}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("free", KEPT.values(), ids=KEPT)
def test_what_is_given_is_kept_and_sent_on_as_it_was_given(member, services, vendor, roads, free):
    config = {"provider": "openai", "model": "m", "custom_endpoint": vendor.url}
    asked = member.post("/agents", {"name": "asked", "llm_config": config}).json["id"]
    services.db.runtimes.insert_one({**records.born("default", asked), "host": "h1", **RUNNING})
    wrong = []
    for n, (operation, method, path, body, place) in enumerate(roads):
        if place in NEVER:
            continue
        vendor.says(answering(OPENAI_WHOLE))
        given = {**body, **OF_OPERATION.get(operation, lambda *_: {})(asked, n), **INTO[place](free)}
        if "messages" in given:
            given.pop("message", None)
        if operation in OF_ASKED:
            path = OF_ASKED[operation].format(asked)
        answer = send(member, method, path, json.dumps(given))
        if answer.status_code >= 300:
            wrong.append((operation, place, answer.text))
            continue
        gone = lost_of(member, services, operation, answer, given)
        if operation in ("chat", "create_completion"):
            gone += lost_on_its_way(vendor, given, place)
        wrong += [(operation, place, gone)] if gone else []
    assert wrong == []


RUNNING = {"status": "ready", "desired": "running"}
OF_OPERATION = {
    "create_completion": lambda asked, _: {"model": asked, **said()},
    "create_agent": lambda _, n: {"name": f"n{n}"},
}
OF_ASKED = {
    "chat": "/agents/{}/chat",
    "message_agent": "/agents/{}/message",
}


def send(client, method, path, text, **headers):
    """As it stands: Flask's own client would sort the names."""
    return client(method, path, data=text, headers={"Content-Type": "application/json", **headers})


def lost_of(member, services, operation, answer, given):
    """What the answer, or the job behind it, has not as it was given."""
    if operation == "explain_llm_config":
        return []
    job_id = answer.headers.get("X-Job-Id") or answer.json["id"]
    job = services.db.jobs.find_one({"_id": job_id})
    if job is None:
        return lost(answer.json["metadata"], given["metadata"])
    asked = {**job["request"], "metadata": job["metadata"]}
    shown = member.get(f"/jobs/{job_id}").json["metadata"]
    of_both = {name: given[name] for name in given if name in asked}
    kept = lost({name: asked[name] for name in of_both}, of_both)
    return kept + (lost(shown, given["metadata"]) if "metadata" in given else [])


SENT_ON = {
    "tools/*",
    "tool_choice",
    "response_format",
    "logit_bias",
    "messages/*",
    "messages/*/audio",
    "messages/*/content/*",
    "messages/*/tool_calls/*",
    "messages/*/tool_calls/*/function",
    "messages/*/tool_calls/*/custom",
}
"""To a custom endpoint; the rest stays here."""


def lost_on_its_way(vendor, given, place):
    """What the provider was not told as it was given."""
    if not vendor.received:
        return ["all: it was not asked"]
    body = vendor.received[0].body
    if place == "extra":
        return lost({name: body[name] for name in given["extra"]}, given["extra"])
    name = place.partition("/")[0]
    return lost({name: body[name]}, {name: given[name]}) if place in SENT_ON else []


def test_what_could_not_come_back_as_it_is_is_refused_on_every_road(member, services, roads):
    before, wrong = services.db.jobs.count_documents({}), []
    for operation, method, path in {road[:3] for road in roads}:
        for text in REFUSED:
            answer = send(member, method, path, f'{{"name": "a", "metadata": {text}}}')
            if answer.status_code not in (400, 422) or len(answer.data) > 1000:
                wrong.append((operation, text[:50], answer.text[:200]))
    assert wrong == []
    assert services.db.jobs.count_documents({}) == before


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_a_form_and_an_archive_refuse_it_too(text):
    for enter in (from_a_form, from_an_archive):
        with pytest.raises(Invalid):
            enter(text)


def from_a_form(text):
    return form.body([row for row in AGENT if row.name == "metadata"], {"metadata": text})["metadata"]


def from_an_archive(text):
    packed = json.loads(portable.packed(demo("w1")))
    packed["agent"]["metadata"] = "HERE"
    return portable.unpacked(json.dumps(packed).replace('"HERE"', text).encode())["agent"]["metadata"]


@pytest.mark.parametrize("free", KEPT.values(), ids=KEPT)
def test_a_form_and_an_archive_take_it_as_it_is(free):
    for text in (json.dumps(free), json.dumps(free, ensure_ascii=False, indent=2)):
        assert not lost(from_a_form(text), free)
        assert not lost(from_an_archive(text), free)
    shown = form.controls(AGENT, {"metadata": free})["metadata"].value
    assert not lost(from_a_form(shown), free)
    assert not lost(
        portable.unpacked(portable.packed({**demo("w1"), "metadata": free}))["agent"]["metadata"], free
    )


def answering_with(free):
    """A provider's answer in which all that is free is this."""
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": json.dumps(free)},
        "own": free,
    }
    message = {
        "role": "assistant",
        "content": "a",
        "tool_calls": [call, {"id": "d", "type": "custom", "custom": free}],
        **{name: [free] for name in PARTS},
    }
    choice = {"index": 0, "message": message, "logprobs": free, "finish_reason": "tool_calls"}
    return {**OPENAI_WHOLE, "choices": [choice]}


def streaming_with(free):
    """The same as a stream, in which log probabilities are lists."""
    (choice,) = answering_with(free)["choices"]
    message = choice["message"]
    calls = [{"index": n, **call} for n, call in enumerate(message["tool_calls"])]
    delta = {**message, "tool_calls": calls}
    chunk = {"choices": [{"index": 0, "delta": delta, "logprobs": {"content": [free]}}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "usage": {}}
    return streaming(sse(chunk), sse(end), sse("[DONE]"))


def lost_in_message(found, free):
    """What a message has not as the provider said it."""
    function, custom = found["tool_calls"]
    kept = {"own": function["own"], "custom": custom["custom"], **{name: found[name][0] for name in PARTS}}
    gone = lost(kept, dict.fromkeys(kept, free))
    return gone + lost(json.loads(function["function"]["arguments"]), free)


@pytest.fixture(params=KEPT)
def free(request):
    return KEPT[request.param]


@pytest.fixture
def world(member, services, vendor, at_once, free):
    """An agent and chats of it, with the same free JSON wherever it can be, given or answered."""
    config = {
        "provider": "openai",
        "model": "m",
        "custom_endpoint": vendor.says(answering(answering_with(free))).url,
    }
    made = send(member, "POST", "/agents", json.dumps({"name": "w", "llm_config": config, "metadata": free}))
    body = {
        "metadata": free,
        "tools": [free],
        "extra": free,
        "response_format": free,
        "conversation_id": "c1",
    }
    odd = [
        {"type": kind, kind: free, "file_id": free} for kind in ("text", "image_url", "file", "input_audio")
    ]
    body["messages"] = [*called(type="custom", custom=free)["messages"], {"role": "user", "content": odd}]
    return World(member, services, vendor, made.json, free, body)


class World:
    def __init__(self, member, services, vendor, made, free, body):
        self.member, self.services, self.vendor, self.db = member, services, vendor, services.db
        self.made, self.agent, self.free, self.body = made, made["id"], free, body

    def chat(self, *, wait=True, **more):
        headers = {"Prefer": "wait=20"} if wait else {}
        text = json.dumps({**self.body, **more})
        answer = send(self.member, "POST", f"/agents/{self.agent}/chat", text, **headers)
        assert answer.status_code in (200, 202), answer.text
        return answer.json

    def queued(self):
        """One that nobody carries out."""
        carried_out, self.services.send = self.services.send, lambda job: None
        try:
            return self.chat(wait=False)
        finally:
            self.services.send = carried_out

    def lost(self, job):
        """What a job has not as it was given, or answered."""
        gone = lost(job["metadata"], self.free)
        if job["result"] is not None:
            gone += lost_in_message(job["result"]["message"], self.free)
            gone += lost(job["result"]["message"]["logprobs"], self.free)
        return gone


def of_agents(world):
    path = f"/agents/{world.agent}"
    changed = send(world.member, "PATCH", path, json.dumps({"metadata": world.free})).json
    shown = {
        "create_agent": world.made,
        "change_agent": changed,
        "get_agent": world.member.get(path).json,
        "list_agents": world.member.get("/agents?limit=1").json["items"][0],
    }
    return {operation: lost(agent["metadata"], world.free) for operation, agent in shown.items()}


def of_jobs(world):
    member, done = world.member, world.chat()
    cancelled = member.post(world.queued()["links"]["cancel"]).json
    again = member.post(f"/jobs/{cancelled['id']}/retry", headers={"Prefer": "wait=20"}).json
    shown = {
        "chat": done,
        "get_job": member.get(f"/jobs/{done['id']}").json,
        "list_jobs": member.get("/jobs?status=succeeded").json["items"][-1],
        "cancel_job": cancelled,
        "retry_job": again,
        "job_events": told(member.get(f"/jobs/{done['id']}/events"))[-1],
        "on_job_ended": called_back(world, done["id"]),
    }
    assert all(job["done"] for job in shown.values())
    assert lost_as_asked(world, again) == []
    return {operation: world.lost(job) for operation, job in shown.items()}


def lost_as_asked(world, job):
    """What a job asks otherwise than the body did."""
    request = world.db.jobs.find_one({"_id": job["id"]})["request"]
    return [name for name in request if json.dumps(request[name]) != json.dumps(world.body[name])]


def told(stream):
    """What the events of a stream carry."""
    lines = [line.removeprefix("data: ") for line in stream.text.split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def called_back(world, job_id):
    """What the receiver of its callback was told."""
    url = {"callback_url": "https://example.com/hook"}
    world.db.jobs.update_one({"_id": job_id}, {"$set": url})
    outbox(world.db, [world.db.jobs.find_one({"_id": job_id})])
    bodies = []
    courier = Courier(
        world.db, world.services.sealer, lambda _url, _headers, body: bodies.append(body) or 200
    )
    courier.deliver(world.db.deliveries.find_one({"job_id": job_id}))
    courier.close()
    return json.loads(bodies[0])["data"]


def of_conversations(world):
    """The words of a conversation, as they are read, and as the provider is told them again."""
    world.chat()
    world.vendor.received = []
    world.chat(messages=[{"role": "user", "content": "and now?"}])
    *_, odd, _, _ = world.vendor.received[0].body["messages"]
    turn = world.member.get(f"/agents/{world.agent}/conversations/c1").json["items"][-1]["messages"]
    said = {"now": [turn[-2]], "again": [odd]}
    gone = lost(said, dict.fromkeys(said, world.body["messages"][-1:]))
    return {"get_conversation": gone + lost_in_message(turn[-1], world.free)}


def of_the_door(world):
    body = {**world.body, "model": world.agent}
    body.pop("conversation_id")
    (choice,) = send(world.member, "POST", "/v1/chat/completions", json.dumps(body)).json["choices"]
    gone = lost_in_message(choice["message"], world.free) + lost(choice["logprobs"], world.free)
    world.vendor.says(streaming_with(world.free))
    stream = send(world.member, "POST", "/v1/chat/completions", json.dumps({**body, "stream": True}))
    return {
        "create_completion": gone
        + lost_in_stream([chunk["choices"][0] for chunk in told(stream)], world.free)
    }


def lost_in_stream(choices, free):
    """What the deltas have not as the provider said it."""
    deltas = [choice["delta"] for choice in choices]
    pieces = [piece for delta in deltas for piece in delta.get("tool_calls", ())]
    first, second = ({n: v for p in pieces if p["index"] == i for n, v in p.items()} for i in (0, 1))
    said = [piece["function"]["arguments"] for piece in pieces if piece["index"] == 0]
    calls = [{**first, "function": {"arguments": "".join(said)}}, second]
    whole = {name: value for delta in deltas for name, value in delta.items()}
    (probable,) = (choice["logprobs"]["content"][0] for choice in choices if choice["logprobs"])
    return lost_in_message({**whole, "tool_calls": calls}, free) + lost(probable, free)


OURS = {
    **dict.fromkeys(("list_audit_log", "list_ticks", "readyz"), "the names are ours"),
    **dict.fromkeys(("get_llm_config", "put_llm_config"), "by the names of vendors"),
    **dict.fromkeys(
        ("llm_test", "export_agent", "import_agent", "upload_files"), "their bodies take no free JSON"
    ),
    **dict.fromkeys(
        ("start_agent", "stop_agent", "restart_agent", "message_agent"),
        "the job that is made is looked at above",
    ),
}


def test_what_was_given_leaves_as_it_was_given(app, world):
    found = of_agents(world) | of_jobs(world) | of_conversations(world) | of_the_door(world)
    assert {operation: gone for operation, gone in found.items() if gone} == {}
    assert {*found, *OURS} == leaving(app)


def leaving(app):
    """The operations, and the webhooks, in whose answers names are free."""
    published = agreeing.document(app)
    known, answers = published["components"]["schemas"], []
    for operation in (one for path in published["paths"].values() for one in path.values()):
        answers += [(operation["operationId"], said) for said in operation["responses"].values()]
    for hook in published["webhooks"].values():
        answers.append((hook["post"]["operationId"], hook["post"]["requestBody"]))
    return {
        name
        for name, said in answers
        for content in said.get("content", {}).values()
        if [*places(content.get("x-event", content["schema"]), known)]
    }


def test_a_request_that_is_repeated_gets_what_it_gave(world):
    key = {"Idempotency-Key": "k"}
    path, text = f"/agents/{world.agent}/chat", json.dumps(world.body)
    first = send(world.member, "POST", path, text, **key).json
    again = send(world.member, "POST", path, json.dumps(dict(reversed(world.body.items()))), **key)
    assert (again.json["id"], lost(again.json["metadata"], world.free)) == (first["id"], [])
    other = json.dumps({**world.body, "metadata": {**world.free, "another": 1}})
    assert send(world.member, "POST", path, other, **key).status_code == 422


@pytest.fixture
def browser(app, services):
    """One that is signed in."""
    browser = Browser(app)
    _, text = keys.make(services.db, role="member", workspace_id="default", created_by="test")
    assert browser.sign_in(text).status_code == 303
    return browser


def test_pages_show_it_and_forms_bring_it_back(app, world, browser):
    done, (name, value) = world.chat(), list(world.free.items())[-1]
    of = {"agent_id": world.agent, "job_id": done["id"]}
    for rule in app.url_map.iter_rules():
        whole = is_page(rule) and "GET" in rule.methods and not rule.rule.endswith(("/stream", "/log"))
        if whole and rule.arguments and rule.arguments <= {*of}:
            browser.page(app.url_map.bind("").build(rule.endpoint, {n: of[n] for n in rule.arguments}))
    page = unescape(browser.page(f"/jobs/{done['id']}"))
    assert f"<dt>{name}</dt><dd>{formats.pretty(value)}</dd>" in page
    line = shlex.split(curl.of(world.db.jobs.find_one({"_id": done["id"]}), "").replace("\\\n", ""))
    asked = json.loads(line[line.index("-d") + 1])
    assert [n for n in asked if json.dumps(asked[n]) != json.dumps(world.body[n])] == []
    settings = f"/agents/{world.agent}/settings"
    shown = forms(browser.page(settings))[settings]
    world.member.patch(f"/agents/{world.agent}", {"metadata": {}})
    assert browser.client.post(settings, data=dict(shown)).status_code == 303
    assert lost(world.member.get(f"/agents/{world.agent}").json["metadata"], world.free) == []
    browser.submit(f"/jobs/{done['id']}/change", {"message": "x"})
    (changed,) = world.db.jobs.find({"retry_of": done["id"]})
    assert lost(changed["metadata"], world.free) == []
    assert json.dumps(changed["request"]["tools"]) == json.dumps(world.body["tools"])


SAID = {"$ref": "x", "$id": 1, "filter": {"age": {"$gt": 5}, "": [[[[[[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]]]]]}}
CALLS = {
    "openai": {
        **OPENAI_WHOLE,
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "find", "arguments": json.dumps(SAID)},
                            "vendors_own": SAID,
                        }
                    ],
                },
            }
        ],
    },
    "anthropic": {
        **ANTHROPIC_WHOLE,
        "stop_reason": "tool_use",
        "content": [{"type": "tool_use", "id": "c1", "name": "find", "input": SAID}],
    },
}


@pytest.mark.parametrize("vendor", CALLS)
def test_what_a_provider_says_is_shown_as_it_said_it(member, at_once, vendor):
    with provider(answering(CALLS[vendor])) as running:
        config = {"provider": vendor, "model": "m", "custom_endpoint": running.url}
        agent = member.post("/agents", {"name": "asker", "llm_config": config}).json["id"]
        job = member.post(f"/agents/{agent}/chat", {"message": "hi"}).json
    (call,) = member.get(f"/jobs/{job['id']}").json["result"]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == SAID
    assert call.get("vendors_own", SAID) == SAID
