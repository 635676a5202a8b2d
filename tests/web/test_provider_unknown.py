"""What providers say that is not understood: kept where it is plain, else logged once and counted."""

from __future__ import annotations

import base64
import json

import pytest
from structlog.testing import capture_logs

from core.llm import strange
from core.llm.wire import WIRES
from tests.providers.said import DONE, d, whole
from tests.providers.scripted import answering, streaming
from tests.web.asking import ROADS, ask

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CITED = {"type": "url_citation", "url_citation": {"url": "https://a.example.com", "title": "A"}}
KEY = "own.key-0123456789"
STREAMED = ["api-stream", "door-stream"]


@pytest.fixture(autouse=True)
def nothing_told():
    strange._told.cache_clear()


@pytest.fixture
def agent(vendors_agent):
    return vendors_agent


def says(vendor, road, finish="stop", **said):
    if road in STREAMED:
        vendor.says(streaming(d(**said), d(finish), DONE))
    else:
        vendor.says(whole(finish, **said))


def counted(nobody):
    lines = nobody.get("/metrics").text.splitlines()
    found = (line.removeprefix("vutler_provider_unknown_total") for line in lines)
    return sorted(line for line in found if line.startswith("{"))


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(
    "said",
    [
        {"content": "Here.", "images": [IMAGE], "annotations": [CITED]},
        {"content": [{"type": "text", "text": "Here."}, IMAGE], "annotations": [CITED]},
    ],
)
def test_images_and_citations_are_kept(member, agent, vendor, nobody, road, said):
    says(vendor, road, **said)
    told = ask(member, agent, road).message
    assert (told["content"], told["images"], told["annotations"]) == ("Here.", [IMAGE], [CITED])
    assert counted(nobody) == []


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("at", ["answer", "message"])
def test_what_an_answer_cites_is_kept(member, agent, vendor, road, at):
    cites = {"citations": ["https://a.example.com"], "search_results": [{"title": "A"}]}
    if at == "message":
        says(vendor, road, content="So [1].", **cites)
    elif road in STREAMED:
        vendor.says(streaming(*({**event, **cites} for event in (d(content="So [1]."), d("stop"))), DONE))
    else:
        said = {"message": {"content": "So [1]."}, "finish_reason": "stop"}
        vendor.says(answering({"choices": [said], **cites}))
    before = ask(member, agent, road).message
    assert (before["content"], {name: before[name] for name in cites}) == ("So [1].", cites)
    assert ask(member, agent, road, messages=[before, {"role": "user", "content": "And?"}]).error is None
    assert vendor.received[-1].body["messages"][0] == {"role": "assistant", "content": "So [1]."}


@pytest.mark.parametrize("stream", [False, True])
def test_the_door_tells_citations_beside_the_choices_too(member, agent, vendor, stream):
    says(vendor, "door-stream" if stream else "door", content="So [1].", citations=["https://a.example.com"])
    asked = {"model": agent, "messages": [{"role": "user", "content": "Why?"}], "stream": stream}
    told = member.post("/v1/chat/completions", asked).text
    last = told.split("data: ")[-2] if stream else told
    assert json.loads(last)["citations"] == ["https://a.example.com"]


@pytest.mark.parametrize("road", ROADS)
def test_what_is_said_aloud_is_kept_and_its_words_are_the_text(member, agent, vendor, road):
    spoken = {
        "id": "audio_1",
        "data": base64.b64encode(b"hello").decode(),
        "transcript": "Hi.",
        "expires_at": 9,
    }
    first = {"id": "audio_1", "data": base64.b64encode(b"h").decode(), "transcript": "H"}
    then = {"data": base64.b64encode(b"ello").decode(), "transcript": "i."}
    if road in STREAMED:
        said = (first, then, {"expires_at": 9})
        vendor.says(streaming(*(d(content=None, audio=piece) for piece in said), d("stop"), DONE))
    else:
        vendor.says(whole(content=None, audio=spoken))
    before = ask(member, agent, road).message
    assert (before["content"], before["audio"]) == ("Hi.", spoken)
    assert ask(member, agent, road, messages=[before, {"role": "user", "content": "And?"}]).error is None
    assert vendor.received[-1].body["messages"][0] == {"role": "assistant", "content": "Hi."}


@pytest.mark.parametrize("road", ROADS)
def test_an_answer_of_an_image_alone_is_an_answer(member, agent, vendor, road):
    says(vendor, road, content=None, images=[IMAGE])
    told = ask(member, agent, road)
    assert (told.error, told.message["images"]) == (None, [IMAGE])


@pytest.mark.parametrize("road", ["api", "door"])
def test_what_was_kept_comes_back_in_the_history_and_is_not_sent_on(member, agent, vendor, road):
    says(vendor, road, content="Here.", images=[IMAGE], annotations=[CITED])
    before = ask(member, agent, road).message
    told = ask(member, agent, road, messages=[before, {"role": "user", "content": "Thanks."}])
    assert told.error is None
    assert vendor.received[-1].body["messages"][0] == {"role": "assistant", "content": "Here."}


@pytest.mark.parametrize("road", ROADS)
def test_a_part_of_an_unknown_type_is_counted_and_its_text_is_taken(member, agent, vendor, nobody, road):
    parts = [{"type": "text", "text": "Yes"}, {"type": "of_tomorrow", "text": "!"}, {"type": "of_tomorrow"}]
    says(vendor, road, content=parts)
    with capture_logs() as logs:
        assert [ask(member, agent, road).message["content"] for _ in range(2)] == ["Yes!"] * 2
    told = [line for line in logs if line["event"] == "provider.unknown"]
    assert [(line["what"], line["said"]) for line in told] == [("part", "of_tomorrow")]
    (line,) = counted(nobody)
    assert line.startswith('{provider="openai",what="part"}')


@pytest.mark.parametrize("road", ROADS)
def test_an_unknown_reason_to_finish_is_kept_and_counted(member, agent, vendor, nobody, services, road):
    says(vendor, road, finish="bored", content="Hm.")
    assert ask(member, agent, road).finish == "stop"
    assert services.db.jobs.find_one()["calls"][-1]["finish_reason"] == "bored"
    assert counted(nobody) == ['{provider="openai",what="finish_reason"} 1.0']


@pytest.mark.parametrize("road", ROADS)
def test_an_error_of_an_unknown_shape_is_shown_as_it_is_and_counted(member, agent, vendor, nobody, road):
    vendor.says(answering({"oops": {"why": "the moon is full"}}, 400))
    told = ask(member, agent, road)
    assert "the moon is full" in (told.error.get("detail") or told.error["message"])
    assert counted(nobody) == ['{provider="openai",what="error"} 1.0']


@pytest.mark.parametrize(
    "word", ["{key}", "what the user said", "x" * 65], ids=["a key", "a text", "a long word"]
)
@pytest.mark.parametrize("what", ["finish_reason", "part", "error"])
def test_the_log_has_no_key_and_no_text_of_what_is_not_understood(
    member, agent, vendor, services, what, word
):
    word = word.replace("{key}", KEY)
    config = {"provider": "openai", "model": "m", "custom_endpoint": vendor.url, "api_key": KEY}
    assert member.put(f"/agents/{agent}/llm-config", config).status_code == 200
    if what == "error":
        vendor.says(answering({"oops": word}, 400))
    elif what == "part":
        vendor.says(whole(content=[{"type": "text", "text": "Yes"}, {"type": word}]))
    else:
        vendor.says(whole(word, content="Yes"))
    with capture_logs() as logs:
        ask(member, agent, "api")
    (line,) = [line for line in logs if line["event"] == "provider.unknown"]
    assert line["said"].endswith(" characters")
    assert KEY not in str(services.db.jobs.find_one()["calls"])


def test_a_call_of_a_custom_tool_is_handed_on_in_one_piece_and_refused_in_a_stream(member, agent, vendor):
    tool = {"type": "custom", "custom": {"name": "sql"}}
    call = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    vendor.says(whole("tool_calls", content=None, tool_calls=[call]))
    for road in ("api", "door"):
        told = ask(member, agent, road, tools=[tool])
        assert (told.message["tool_calls"], told.finish) == ([call], "tool_calls")
    for road in STREAMED:
        told = ask(member, agent, road, tools=[tool])
        assert "`custom`" in (told.error.get("detail") or told.error["message"])


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        ("openai", {"choices": [{"message": {"content": [{"type": "new"}]}, "finish_reason": "stop"}]}),
        ("openai", {"choices": [{"message": {"content": "a", "tool_calls": [{"type": "new"}]}}]}),
        ("anthropic", {"content": [{"type": "text", "text": "a"}, {"type": "new"}], "stop_reason": "x"}),
        ("responses", {"output": [{"type": "new"}], "status": "completed"}),
        ("responses", {"output": [{"type": "message", "content": [{"type": "new"}]}], "status": "completed"}),
    ],
)
def test_each_wire_says_which_parts_it_does_not_know(wire, body):
    (kind,) = WIRES[wire].from_wire(body).unknown
    assert kind in ("new", "call of new")


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        ("openai", [d(content=[{"type": "new"}])]),
        ("anthropic", [{"type": "content_block_start", "index": 0, "content_block": {"type": "new"}}]),
        (
            "responses",
            [{"type": "response.output_item.done", "output_index": 0, "item": {"type": "new"}}],
        ),
    ],
)
def test_each_stream_says_so_too(wire, events):
    stream = WIRES[wire].Stream()
    for event in events:
        stream.feed(event)
    assert stream.answer().unknown == ("new",)
