"""What of a conversation is told again: what fits, whole, and nothing that a provider would refuse."""

from core import tokens
from core.chat import history

ROOM = 1000


def turn(text, answer=None, **more):
    return [user(text), {"role": "assistant", "content": answer or f"answer to {text}", **more}]


def user(text):
    return {"role": "user", "content": text}


def calls(*ids):
    named = {"type": "function", "function": {"name": "look", "arguments": "{}"}}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": i, **named} for i in ids]}


def result(call_id):
    return {"role": "tool", "tool_call_id": call_id, "content": f"result of {call_id}"}


def test_all_that_fits_is_told_in_order():
    turns = [turn("one"), turn("two")]
    assert history.told(turns, [user("three")], ROOM) == ([*turns[0], *turns[1], user("three")], 0)


def test_the_oldest_turns_are_dropped_and_counted():
    turns = [turn("x" * 400) for _ in range(10)]
    messages, dropped = history.told(turns, [user("now")], 500)
    assert 0 < dropped < 10
    assert messages == [m for t in turns[dropped:] for m in t] + [user("now")]
    assert tokens.about(messages) <= 500


def test_the_question_is_asked_however_long_it_is():
    messages, dropped = history.told([turn("one")], [user("x" * 10_000)], ROOM)
    assert (len(messages), dropped) == (1, 1)


def test_a_call_and_its_result_are_never_split():
    called, answered = [user("look"), calls("c1")], [result("c1"), {"role": "assistant", "content": "seen"}]
    turns = [called, answered, turn("x" * 1600)]
    for room in range(0, 700, 10):
        messages, dropped = history.told(turns, [user("now")], room)
        assert [m for m in messages if m in called] in ([], called)
        assert (called[1] in messages) == (answered[0] in messages)
        assert dropped in (0, 2, 3)


def test_the_turn_that_the_question_belongs_to_is_never_dropped():
    called = [user("x" * 8000), calls("c1")]
    messages, dropped = history.told([turn("one"), called], [result("c1")], ROOM)
    assert (messages, dropped) == ([*called, result("c1")], 1)


def test_a_result_stands_behind_its_call_though_another_chat_came_between():
    called, other = [user("look"), calls("c1")], turn("meanwhile")
    messages, dropped = history.told([called, other], [result("c1")], ROOM)
    assert (messages, dropped) == ([*other, *called, result("c1")], 0)


def test_a_call_that_nobody_answered_is_left_out():
    turns = [[user("look"), calls("c1")], [user("look"), {**calls("c2"), "content": "I will look"}]]
    messages, _ = history.told(turns, [user("never mind")], ROOM)
    said = {"role": "assistant", "content": "I will look", "tool_calls": None}
    assert messages == [user("look"), user("look"), said, user("never mind")]


def test_a_result_whose_call_is_gone_is_left_out_of_the_history():
    messages, _ = history.told([[result("c0"), *turn("one")]], [user("two")], ROOM)
    assert messages == [*turn("one"), user("two")]


def test_a_system_message_is_for_its_own_turn_and_stands_in_front():
    system = {"role": "system", "content": "be brief"}
    messages, _ = history.told([[system, *turn("one")]], [system, user("two")], ROOM)
    assert messages == [system, *turn("one"), user("two")]


def test_what_no_provider_is_told_again_takes_no_room():
    pictured = turn("draw", images=[{"url": "x" * 100_000}], citations=["y" * 100_000])
    assert history.told([pictured], [user("thanks")], ROOM) == ([*pictured, user("thanks")], 0)
