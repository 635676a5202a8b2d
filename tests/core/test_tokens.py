"""How many tokens a text is taken for: once, for limits, budgets, histories and usage that nobody told."""

from core import tokens

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
FILE = {"type": "file", "file": {"file_data": "data:application/pdf;base64," + "A" * 1_000_000}}


def user(content):
    return [{"role": "user", "content": content}]


def test_four_bytes_are_a_token_and_three_for_whoever_must_not_count_too_few():
    assert 1000 < tokens.about(user("a" * 4000)) < 1020
    assert 1000 < tokens.at_most(user("a" * 3000)) < 1020
    assert tokens.about(user("é" * 2000)) == tokens.about(user("a" * 4000))


def test_what_is_sent_with_the_messages_counts_too():
    tool = {"type": "function", "function": {"name": "look", "description": "a" * 400}}
    for count in (tokens.about, tokens.at_most):
        assert count(user("hi"), [tool], "a" * 400) > count(user("hi")) + 200
        assert count(user("hi"), None, "") == count(user("hi"))


def test_a_picture_counts_the_same_whatever_its_bytes():
    small = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    question = {"type": "text", "text": "What is this?"}
    for count in (tokens.about, tokens.at_most):
        alone = count(user([question]))
        assert count(user([question, PICTURE])) == count(user([question, small])) == alone + tokens.A_PART


def test_a_file_counts_by_its_bytes_where_a_budget_depends_on_it():
    assert tokens.about(user([FILE])) < 2 * tokens.A_PART
    assert tokens.at_most(user([FILE])) > 300_000


def test_messages_that_are_none_and_texts_that_are_no_unicode_are_counted_all_the_same():
    assert tokens.about([7, None, {"content": ["a", 1]}]) > 0
    assert tokens.about(user("\ud800")) > 0


def test_what_no_provider_is_told_again_does_not_count():
    (said,) = user("hi")
    for count in (tokens.about, tokens.at_most):
        assert count([said | {"audio": {"id": "a", "data": "a" * 400}}]) == count([said])
        assert count([said | {name: ["a" * 400] for name in tokens.NEVER_SENT}]) == count([said])
