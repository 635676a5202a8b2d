"""What providers really send, and what a client is told of it: by the API and the door, streamed and not.

Each case was met in the wild; none is as the vendors' documentation has it.
"""

from __future__ import annotations

import json

import pytest

from tests.providers.said import DONE, d, piece, whole
from tests.providers.scripted import answering, head, streaming
from tests.web.asking import ROADS, ask

STREAMED = ["api-stream", "door-stream"]
WHOLE = ["api", "door"]


@pytest.fixture
def agent(vendors_agent):
    return vendors_agent


def refusing(said):
    return {"type": "refusal", "refusal": said}


def says(vendor, *events):
    vendor.says(streaming(*events))


A, B = '{"path":"a.rs"}', '{"path":"b.rs"}'


@pytest.mark.parametrize("road", STREAMED)
@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        (  # parallel calls that all say index 0
            [piece(0, "call_a", "read", A), piece(0, "call_b", "read", B)],
            [("call_a", "read", A), ("call_b", "read", B)],
        ),
        (  # the same, their arguments in pieces
            [
                piece(0, "call_a", "read", ""),
                *(piece(0, None, None, part) for part in (A[:5], A[5:])),
                piece(0, "call_b", "read", ""),
                *(piece(0, None, None, part) for part in (B[:5], B[5:])),
            ],
            [("call_a", "read", A), ("call_b", "read", B)],
        ),
        (  # the same, interleaved, the id with each piece
            [
                piece(0, "call_a", "read", A[:5]),
                piece(0, "call_b", "read", B[:5]),
                piece(0, "call_a", None, A[5:]),
                piece(0, "call_b", None, B[5:]),
            ],
            [("call_a", "read", A), ("call_b", "read", B)],
        ),
        (  # the name with each piece
            [piece(0, "call_a", "read_file", part) for part in ("", '{"path":', '"a"}')],
            [("call_a", "read_file", '{"path":"a"}')],
        ),
        (  # the name with each piece, without an id after the first
            [
                piece(0, n, "read_file", part)
                for n, part in (("call_a", ""), (None, '{"path":'), (None, "1}"))
            ],
            [("call_a", "read_file", '{"path":1}')],
        ),
        (  # an id of its own with each piece
            [
                piece(0, "call_a", "read", "{"),
                piece(0, "call_b", None, '"a":'),
                piece(0, "call_c", None, "1}"),
            ],
            [("call_a", "read", '{"a":1}')],
        ),
        (  # counted from 1, and with a gap
            [piece(1, "call_a", "read", A), piece(5, "call_b", "read", B)],
            [("call_a", "read", A), ("call_b", "read", B)],
        ),
        ([piece(0, "call_a", "now", "")], [("call_a", "now", "{}")]),  # no arguments
        ([piece(0, "call_a", "now")], [("call_a", "now", "{}")]),
        (
            [piece(0, "call_a", "now", ""), piece(1, "call_b", "read", B)],
            [("call_a", "now", "{}"), ("call_b", "read", B)],
        ),
    ],
)
def test_the_calls_of_a_stream_are_told_apart(member, agent, vendor, road, pieces, calls):
    says(vendor, d(content="Let me look."), *pieces, d("tool_calls"), DONE)
    told = ask(member, agent, road)
    assert told.calls == calls
    assert (told.message["content"], told.finish) == ("Let me look.", "tool_calls")


@pytest.mark.parametrize("road", STREAMED)
@pytest.mark.parametrize("counted", [(0, 0), (None, None), (0, 1)])
def test_the_calls_of_a_stream_without_ids_are_told_apart(member, agent, vendor, road, counted):
    one, two = counted
    says(vendor, piece(one, None, "read", A), piece(two, "", "read", B), d("tool_calls"), DONE)
    (id_a, *a), (id_b, *b) = ask(member, agent, road).calls
    assert (a, b) == (["read", A], ["read", B])
    assert id_a != id_b
    assert all((id_a, id_b))


@pytest.mark.parametrize("road", STREAMED)
@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        ([piece(0, "0", "f", "{}"), piece(1, "0", "g", "{}")], [("f", "{}"), ("g", "{}")]),
        ([piece(0, "0", "f", A), piece(1, "0", "f", B)], [("f", A), ("f", B)]),
        ([piece(0, "0", "f", A), piece(0, "0", "g", B)], [("f", A), ("g", B)]),
        ([piece(None, "0", "f", A), piece(None, "0", "g", B)], [("f", A), ("g", B)]),
        (  # announced first, their arguments in turn, the id with each piece
            [
                piece(0, "0", "f", ""),
                piece(1, "0", "g", ""),
                *(piece(n, "0", None, words[k : k + 7]) for k in (0, 7) for n, words in ((0, A), (1, B))),
                piece(0, "0", None, A[14:]),
                piece(1, "0", None, B[14:]),
            ],
            [("f", A), ("g", B)],
        ),
        (  # one after the other
            [
                piece(0, "0", "f", A[:5]),
                piece(0, "0", None, A[5:]),
                piece(1, "0", "f", ""),
                piece(1, "0", None, B[:5]),
                piece(1, "0", None, B[5:]),
            ],
            [("f", A), ("f", B)],
        ),
        (  # a name in parts, and a place that counts the pieces: one call
            [piece(0, "0", "read_", ""), piece(0, "0", "file", ""), piece(0, "0", None, A)],
            [("read_file", A)],
        ),
        ([piece(n, "0", "f", part) for n, part in enumerate((A[:5], A[5:]))], [("f", A)]),
    ],
)
def test_the_calls_of_a_stream_with_one_id_are_told_apart(member, agent, vendor, road, pieces, calls):
    says(vendor, *pieces, d("tool_calls"), DONE)
    told = ask(member, agent, road).calls
    assert [call for _, *call in told] == [list(call) for call in calls]
    assert told[0][0] == "0"
    assert len({id for id, *_ in told}) == len(calls)


@pytest.mark.parametrize("road", WHOLE)
def test_calls_in_one_piece_with_one_id_get_their_own(member, agent, vendor, road):
    given = [{"id": "0", "function": {"name": name, "arguments": A}} for name in ("f", "g", "h")]
    vendor.says(whole("tool_calls", content=None, tool_calls=given))
    told = ask(member, agent, road).calls
    assert (told[0], [name for _, name, _ in told]) == (("0", "f", A), ["f", "g", "h"])
    assert len({id for id, *_ in told}) == 3


@pytest.mark.parametrize("road", ROADS)
def test_anthropics_calls_with_one_id_get_their_own(member, claude, vendor, road):
    given = [{"type": "tool_use", "id": "0", "name": name, "input": {"a": 1}} for name in ("f", "g")]
    if road in STREAMED:
        events = [
            {"type": "content_block_start", "index": n, "content_block": block}
            for n, block in enumerate(given)
        ]
        says(vendor, *events, {"type": "message_delta", "delta": {"stop_reason": "tool_use"}})
    else:
        vendor.says(answering({"content": given, "stop_reason": "tool_use"}))
    told = ask(member, claude, road).calls
    assert (told[0], told[1][1:]) == (("0", "f", '{"a": 1}'), ("g", '{"a": 1}'))
    assert told[1][0] not in ("", "0")


@pytest.mark.parametrize("road", WHOLE)
@pytest.mark.parametrize("function", [{"name": "now", "arguments": ""}, {"name": "now"}])
def test_a_call_without_arguments_has_an_empty_object(member, agent, vendor, road, function):
    vendor.says(whole("tool_calls", content=None, tool_calls=[{"id": "call_a", "function": function}]))
    assert ask(member, agent, road).calls == [("call_a", "now", "{}")]


@pytest.mark.parametrize("road", ROADS)
def test_a_call_in_the_older_field_is_a_call(member, agent, vendor, road):
    if road in STREAMED:
        pieces = [{"name": "read", "arguments": ""}, {"arguments": A[:5]}, {"arguments": A[5:]}]
        says(vendor, *(d(function_call=one) for one in pieces), d("function_call"), DONE)
    else:
        vendor.says(whole("function_call", content=None, function_call={"name": "read", "arguments": A}))
    told = ask(member, agent, road)
    ((id_given, *call),) = told.calls
    assert (call, told.finish) == (["read", A], "tool_calls")
    assert id_given


@pytest.mark.parametrize("road", ROADS)
def test_a_call_that_is_told_in_both_fields_is_one_call(member, agent, vendor, road):
    call = {"name": "read", "arguments": A}
    both = {"function_call": call, "tool_calls": [{"index": 0, "id": "call_a", "function": call}]}
    if road in STREAMED:
        says(vendor, d(**both), d("tool_calls"), DONE)
    else:
        vendor.says(whole("tool_calls", content=None, **both))
    assert ask(member, agent, road).calls == [("call_a", "read", A)]


@pytest.mark.parametrize("road", ROADS)
def test_calls_without_ids_get_their_own_in_each_turn(member, agent, vendor, road):
    called = {"function": {"name": "now", "arguments": "{}"}}
    if road in STREAMED:
        says(vendor, d(tool_calls=[{"index": 0, "id": "", **called}]), d("tool_calls"), DONE)
    else:
        vendor.says(whole("tool_calls", content=None, tool_calls=[called]))
    ids = {ask(member, agent, road).calls[0][0] for _ in range(2)}
    assert len(ids) == 2
    assert all(ids)


@pytest.mark.parametrize("road", STREAMED)
def test_anthropics_blocks_that_all_say_index_0_are_told_apart(member, claude, vendor, road):
    says(
        vendor,
        {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
        *(
            event
            for id, arguments in (("a", A), ("", B))
            for event in (
                {
                    "type": "content_block_start",
                    "content_block": {"type": "tool_use", "id": id, "name": "read"},
                },
                {
                    "type": "content_block_delta",
                    "delta": {"type": "input_json_delta", "partial_json": arguments},
                },
                {"type": "content_block_stop"},
            )
        ),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    )
    (id_a, *a), (id_b, *b) = ask(member, claude, road).calls
    assert (id_a, a, b) == ("a", ["read", A], ["read", B])
    assert id_b not in ("", "a")


@pytest.mark.parametrize("road", STREAMED)
def test_a_stream_that_ends_with_an_empty_reason_is_broken(member, agent, vendor, road):
    says(vendor, d("", content="two "), d("", content="words"))
    told = ask(member, agent, road)
    assert (told.error["code"], told.partial) == ("stream_broken", "two words")


@pytest.mark.parametrize("road", STREAMED)
def test_thinking_whose_tag_is_cut_is_found_beside_empty_reasons(member, agent, vendor, road):
    says(vendor, d("", content="<thi"), d("", content="nk>a</think>4"), d("stop"), DONE)
    told = ask(member, agent, road)
    assert (told.reasoning, told.message["content"]) == ("a", "4")


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("model_context_window_exceeded", "length"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("eos", "stop"),
        ("lunch_break", "stop"),
    ],
)
def test_a_reason_of_another_vendors_is_understood(member, agent, vendor, road, reason, finish):
    if road in STREAMED:
        says(vendor, d(content="one"), d(reason), DONE)
    else:
        vendor.says(whole(reason, content="one"))
    assert ask(member, agent, road).finish == finish


@pytest.mark.parametrize("stream", [False, True])
def test_a_reason_that_nobody_knows_is_kept_on_the_call(member, agent, vendor, stream):
    if stream:
        says(vendor, d("lunch_break", content="one"), DONE)
    else:
        vendor.says(whole("lunch_break", content="one"))
    job = member.post(
        f"/agents/{agent}/chat", {"message": "x", "stream": stream}, headers={"Prefer": "wait=60"}
    )
    assert job.json["result"]["calls"][0]["finish_reason"] == "lunch_break"


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("reason", ["error", "insufficient_system_resource", "network_error", "abort"])
def test_an_answer_that_was_broken_off_is_no_success(member, agent, vendor, road, reason):
    if road in STREAMED:
        says(vendor, d(content="It beg"), d(reason), DONE)
    else:
        vendor.says(whole(reason, content="It beg"))
    assert ask(member, agent, road).error["code"] in ("stream_broken", "provider_busy")


ENGINE = {"object": "error", "message": "engine core died", "code": 500}


@pytest.mark.parametrize("road", STREAMED)
@pytest.mark.parametrize(
    "error",
    [
        ENGINE,
        {"message": "engine core died"},
        {"detail": "engine core died"},
        {"code": 500, "msg": "engine core died"},
        {"error": {"message": "engine core died"}},
        {"error": "engine core died"},
        [{"error": {"code": 500, "message": "engine core died"}}],
        b'event: error\ndata: "engine core died"\n\n',
        b'event: error\ndata: {"reason": "engine core died"}\n\n',
        b"data: engine core died\n\n",
    ],
)
def test_an_error_of_any_shape_breaks_a_stream_that_then_says_done(member, agent, vendor, road, error):
    says(vendor, d(content="It begins"), error, DONE)
    told = ask(member, agent, road)
    assert (told.error["code"], told.partial) == ("stream_broken", "It begins")
    assert "engine core died" in (told.error.get("detail") or told.error["message"])


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ENGINE, "provider_busy"),
        ({"code": 429, "message": "engine core died"}, "provider_rate_limited"),
        ({"type": "error", "message": "engine core died", "code": "400"}, "provider_refused"),
    ],
)
def test_an_error_before_the_first_word_is_that_error(member, agent, vendor, road, error, code):
    vendor.says(streaming(error, DONE) if road in STREAMED else answering(error))
    told = ask(member, agent, road)
    assert (told.error["code"], told.partial) == (code, None)
    assert "engine core died" in (told.error.get("detail") or told.error["message"])


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
def test_an_error_in_one_piece_is_read_whatever_was_asked_for(member, agent, vendor, road, kind):
    body = json.dumps({"code": 429, "message": "Resource has been exhausted"}).encode()
    vendor.says(lambda write: write(head(200, kind, ("Content-Length", len(body))) + body))
    told = ask(member, agent, road)
    assert told.error["code"] == "provider_rate_limited"
    assert "Resource has been exhausted" in (told.error.get("detail") or told.error["message"])


@pytest.mark.parametrize("road", ROADS)
def test_minimaxs_refusal_of_a_key_is_not_tried_again(member, agent, vendor, road):
    vendor.says(answering({"base_resp": {"status_code": 1004, "status_msg": "login fail"}}))
    told = ask(member, agent, road)
    assert (told.error["code"], len(vendor.received)) == ("provider_key_refused", 1)


@pytest.mark.parametrize("road", WHOLE)
def test_a_stream_that_nobody_asked_for_is_gathered(member, agent, vendor, road):
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    says(vendor, d(content="He"), d(content="llo"), d("stop"), {"choices": [], "usage": usage}, DONE)
    told = ask(member, agent, road)
    assert (told.message["content"], told.finish) == ("Hello", "stop")
    assert 9 in (told.usage.get("tokens_total"), told.usage.get("total_tokens"))


@pytest.mark.parametrize("road", WHOLE)
def test_a_stream_that_nobody_asked_for_and_that_breaks_off_is_no_success(member, agent, vendor, road):
    says(vendor, d(content="He"))
    assert ask(member, agent, road).error["code"] == "stream_broken"


@pytest.mark.parametrize("road", STREAMED)
def test_an_answer_in_one_piece_is_told_though_a_stream_was_asked_for(member, agent, vendor, road):
    call = {"id": "call_a", "function": {"name": "now", "arguments": "{}"}}
    vendor.says(whole("tool_calls", content="Hello", reasoning="Hm.", tool_calls=[call]))
    told = ask(member, agent, road)
    assert (told.message["content"], told.reasoning) == ("Hello", "Hm.")
    assert (told.calls, told.finish) == ([("call_a", "now", "{}")], "tool_calls")


@pytest.mark.parametrize("road", STREAMED)
@pytest.mark.parametrize(
    "sloppy",
    [
        lambda one, two: b"data:\n\n" + one + b"\n\n" + two + b"\n\n",  # empty data keeps it open
        lambda one, two: one + b"\n\ndata: \n\n" + two + b"\n\ndata\n\n",
        lambda one, two: b"\xef\xbb\xbf" + one + b"\n\n" + two + b"\n\n",  # a byte order mark
        lambda one, two: b"\n\n" + one + b"\r\r" + two + b"\r\r",
        lambda one, two: one + b"\r\n\r\n" + two + b"\r\n\r\n",
        lambda one, two: b"retry: 3\nid: 1\nevent\n" + one + b"\n\n" + two + b"\n\n",
        lambda one, two: one + b"\n" + two + b"\n",  # no empty line between
        lambda one, two: one.replace(b"data: ", b"data:") + b"\n\n" + two.replace(b"data: ", b"data:"),
    ],
)
def test_sloppy_events_are_understood(member, agent, vendor, road, sloppy):
    one, two = (
        b"data: " + json.dumps(event).encode() for event in (d(content="Hel"), d("stop", content="lo"))
    )
    says(vendor, sloppy(one, two))
    told = ask(member, agent, road)
    assert (told.message["content"], told.finish) == ("Hello", "stop")


@pytest.mark.parametrize("road", STREAMED)
def test_a_character_that_is_cut_in_two_is_whole_again(member, agent, vendor, road):
    says(
        vendor,
        d(reasoning_content="r\ud83d"),
        d(reasoning_content="\ude00s"),
        d(content="a\ud83d"),
        d(content="\ude00b"),
        piece(0, "call_a", "say", '{"x":"\ud83d'),
        piece(0, None, None, '\ude00"}'),
        d("tool_calls"),
        DONE,
    )
    told = ask(member, agent, road)
    assert (told.message["content"], told.reasoning) == ("a😀b", "r😀s")
    assert told.calls == [("call_a", "say", '{"x":"😀"}')]


@pytest.mark.parametrize("road", STREAMED)
@pytest.mark.parametrize("of", [lambda said: {"refusal": said}, lambda said: {"content": [refusing(said)]}])
def test_a_refusals_character_that_is_cut_in_two_is_whole_again(member, agent, vendor, road, of):
    says(vendor, d(**of("a\ud83d")), d(**of("\ude00b\ud83d")), d("stop"), DONE)
    assert ask(member, agent, road).message["refusal"] == "a😀b�"


@pytest.mark.parametrize("road", WHOLE)
@pytest.mark.parametrize("said", [{"refusal": "No\ud83d"}, {"content": [refusing("N"), refusing("o\ud83d")]}])
def test_a_refusal_in_one_piece_can_be_stored(member, agent, vendor, road, said):
    vendor.says(whole(**{"content": None, **said}))
    assert ask(member, agent, road).message["refusal"] == "No�"


@pytest.mark.parametrize("road", STREAMED)
def test_anthropics_character_that_is_cut_in_two_is_whole_again(member, claude, vendor, road):
    said = [
        ("text", "text_delta", "text", "a", "b"),
        ("tool_use", "input_json_delta", "partial_json", '{"x":"', '"}'),
    ]
    says(
        vendor,
        {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
        *(
            event
            for index, (kind, delta, field, before, after) in enumerate(said)
            for event in (
                {
                    "type": "content_block_start",
                    "index": index,
                    "content_block": {"type": kind, "id": "call_a", "name": "say", "text": ""},
                },
                {
                    "type": "content_block_delta",
                    "index": index,
                    "delta": {"type": delta, field: before + "\ud83d"},
                },
                {
                    "type": "content_block_delta",
                    "index": index,
                    "delta": {"type": delta, field: "\ude00" + after},
                },
                {"type": "content_block_stop", "index": index},
            )
        ),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    )
    told = ask(member, claude, road)
    assert (told.message["content"], told.calls) == ("a😀b", [("call_a", "say", '{"x":"😀"}')])


@pytest.mark.parametrize("road", ROADS)
def test_mistrals_parts_are_reasoning_and_text(member, agent, vendor, road):
    thought = [
        {
            "type": "thinking",
            "thinking": [{"type": "text", "text": "Two and"}, {"type": "text", "text": " two."}],
        }
    ]
    if road in STREAMED:
        says(vendor, d(content=thought), d(content=[{"type": "text", "text": "4"}]), d("stop"), DONE)
    else:
        vendor.says(whole(content=[*thought, {"type": "text", "text": "4"}]))
    told = ask(member, agent, road)
    assert (told.reasoning, told.message["content"]) == ("Two and two.", "4")
