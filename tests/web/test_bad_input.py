"""Whatever is sent gets a 4xx problem, never a 500, and nothing half done."""

from __future__ import annotations

import json

import pytest

JSON = {"Content-Type": "application/json"}


def problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["instance"] == answer.headers["X-Request-Id"]
    assert answer.json["type"].startswith("/problems/")
    return answer.json


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"name": "\xff"}',
        b"{'name': 'a'}",
        b'{"name": NaN}',
        b'{"name": -Infinity}',
        b'{"name": "\\ud800"}',
        b'{"name": "a\x00b"}',
        b'{"name": "a"} trailing',
        b'{"name": ' + b"9" * 5000 + b"}",
        b'{"metadata": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b"[" * 49_000,
    ],
    ids=lambda body: body[:20].decode("latin-1"),
)
def test_what_is_not_json_is_malformed(member, body):
    refused = member.post("/agents", data=body, headers=JSON)
    assert problem(refused, 400)["code"] == "malformed"
    assert len(refused.data) < 1000


@pytest.mark.parametrize("body", [b'"{\\"name\\": \\"a\\"}"', b"[]", b"null", b"1", b"true"])
def test_json_that_is_no_object_is_refused(member, body):
    assert problem(member.post("/agents", data=body, headers=JSON), 422)["errors"][0]["pointer"] == ""


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"name": "a\\u0000b"}', "/name"),
        ('{"name": "a", "metadata": {"a\\u0000b": 1}}', "/metadata"),
        ('{"name": "a", "metadata": {"n": [1, 9223372036854775808]}}', "/metadata/n/1"),
        ('{"name": "a", "metadata": {"n": 1e999}}', "/metadata/n"),
        ('{"name": "a", "metadata": {"n": %s}}' % ("[" * 100 + "]" * 100), ""),
        ('{"name": "a", "unknown": 1}', "/unknown"),
        ('{"name": 5}', "/name"),
        ('{"name": " padded "}', "/name"),
        ('{"name": "a", "email": "nobody"}', "/email"),
        ('{"name": "a", "tools": "all"}', "/tools"),
        ('{"name": "a", "llm_config": {"provider": "openai", "api_key": "sk-a b"}}', "/llm_config/api_key"),
        ('{"name": "a", "llm_config": "sandbox"}', "/llm_config"),
    ],
)
def test_json_that_cannot_be_used_is_refused_where_it_is_wrong(member, services, body, pointer):
    refused = problem(member.post("/agents", data=body, headers=JSON), 422)
    assert pointer in [place["pointer"] for place in refused["errors"]]
    assert services.db.agents.count_documents({"name": {"$ne": "demo"}}) == 0


def test_deep_but_not_too_deep_is_kept(member):
    nested: dict = {}
    for _ in range(55):
        nested = {"in": nested}
    made = member.post("/agents", {"name": "deep", "metadata": nested})
    assert made.status_code == 201
    assert member.get(f"/agents/{made.json['id']}").json["metadata"] == nested


def test_a_backslash_u0000_that_is_text_is_kept(member):
    made = member.post("/agents", data=json.dumps({"name": "a", "description": "\\u0000"}), headers=JSON)
    assert made.json["description"] == "\\u0000"


def test_keys_that_mean_something_to_the_store_are_only_keys(member):
    odd = {"$set": {"role": "admin"}, "a.b": 1, "": 2, "$where": "1", "__proto__": 3}
    made = member.post("/agents", {"name": "odd", "metadata": odd})
    assert made.status_code == 201
    assert member.get(f"/agents/{made.json['id']}").json["metadata"] == odd


def test_an_input_that_was_refused_is_not_repeated(member):
    body = {"name": "a", "llm_config": {"provider": "openai", "api_key": "sk-secret with blanks"}}
    assert "secret" not in member.post("/agents", body).text
    assert "secret" not in member.put("/agents/demo/llm-config", body["llm_config"]).text


def test_only_json_is_taken(member):
    refused = member.post("/agents", data="name=a", headers={"Content-Type": "text/plain"})
    assert problem(refused, 415)["code"] == "unsupported_media_type"
    refused = member.post("/agents", data={"name": "a"})
    problem(refused, 415)


def test_json_of_another_name_is_json(member):
    made = member.post("/agents", data='{"name": "a"}', headers={"Content-Type": "application/vnd.a+json"})
    assert made.status_code == 201


def test_too_large_a_body_is_refused(member, services):
    big = b'{"name": "' + b"a" * services.settings.max_body_bytes + b'"}'
    problem(member.post("/agents", data=big, headers=JSON), 413)


def test_a_body_that_is_too_large_for_the_store_is_refused(app, member, agent, services):
    app.config["MAX_CONTENT_LENGTH"] = 30_000_000
    much = '{"message": "' + "a" * 17_000_000 + '"}'
    refused = member.post(f"/agents/{agent}/chat", data=much.encode(), headers=JSON)
    assert "kept in one piece" in problem(refused, 413)["detail"]
    assert services.db.jobs.count_documents({}) == 0


def test_a_body_with_odd_names_takes_no_more_in_the_store_than_on_its_way(member, agent):
    much = '{"message": "a", "tools": [{"$a": "' + "é" * 4_000_000 + '"}]}'
    taken = member.post(f"/agents/{agent}/chat", data=much.encode(), headers=JSON)
    assert taken.status_code == 202


@pytest.mark.parametrize(
    "given",
    [
        b'"content": [' + b"0," * 1_000_000 + b"0]",
        b'"tools": [{"x": [' + b"0," * 4_900_000 + b"0]}]",
        b'"tools": [{' + b",".join(b'"%d":0' % n for n in range(700_000)) + b"}]",
        b'"metadata": {"a": ' + b"[" * 2_000_000 + b"]" * 2_000_000 + b"}",
        b'"metadata": {"a": [' + b"{}," * 100_000 + b"{}]}",
        b'"metadata": {"a": [' + b'"\\\\",' * 100_000 + b"0]}",
        b"[" * 5_000_000,
    ],
    ids=lambda given: given[:20].decode(),
)
def test_a_body_of_too_many_values_is_refused_before_they_are_looked_at(member, agent, given):
    refused = member.post(f"/agents/{agent}/chat", data=b'{"message": "a", ' + given + b"}", headers=JSON)
    assert "100000 values and names" in problem(refused, 413)["detail"]


@pytest.mark.parametrize("text", ['"[{,', "\\", '\\"', "\\\\"])
def test_what_stands_in_a_text_does_not_count_as_values(member, agent, text):
    taken = member.post(f"/agents/{agent}/chat", {"message": text * 60_000})
    assert taken.status_code == 202, taken.text
    asked = {"messages": [{"role": "user", "content": text * 60_000}, {"role": "user", "content": "a"}]}
    assert member.post(f"/agents/{agent}/chat", asked).status_code == 202


def test_of_many_errors_the_first_are_told(member, agent):
    told = problem(member.post(f"/agents/{agent}/chat", {"messages": [0] * 5_000}), 422)
    assert len(told["errors"]) == 20
    assert told["detail"].endswith("; 5000 of the values given cannot be used")


def test_too_many_errors_are_counted_and_none_is_looked_for(member, agent):
    told = problem(member.post(f"/agents/{agent}/chat", {f"{n}": 0 for n in range(40_000)}), 422)
    assert (told["detail"], "errors" in told) == ("40000 of the values given cannot be used", False)


PART, CALL = {"type": "text"}, {"id": "a", "custom": {}}


@pytest.mark.parametrize(
    ("asked", "pointer", "detail"),
    [
        ({"messages": [{"role": "user", "content": "a"}] * 10_001}, "/messages", "at most 10000"),
        ({"messages": [0] * 99_000}, "/messages", "at most 10000"),
        (
            {"messages": [{"role": "user", "content": [PART] * 10_001}]},
            "/messages/0/content",
            "at most 10000",
        ),
        ({"messages": [{"role": "user", "content": [PART] + [0] * 9_000}]}, "/messages/0/content/1", ""),
        (
            {"messages": [{"role": "assistant", "tool_calls": [CALL] * 10_001}]},
            "/messages/0/tool_calls",
            "10000",
        ),
        ({"messages": [{"role": "assistant", "images": [0] * 9_000}]}, "/messages/0/images/0", "object"),
        ({"message": "a", "stop": [0] * 1_000}, "/stop/0", "text"),
        ({"message": "a", "stop": ["a"] * 1_001}, "/stop", "at most 1000"),
    ],
)
def test_of_a_list_the_first_item_too_many_or_wrong_is_told_and_no_other(
    member, agent, asked, pointer, detail
):
    told = problem(member.post(f"/agents/{agent}/chat", asked), 422)["errors"]
    assert pointer in [place["pointer"] for place in told]
    assert detail in next(place["detail"] for place in told if place["pointer"] == pointer)
    assert len(told) <= 2


def test_a_name_of_a_megabyte_is_not_repeated(member):
    assert len(member.post("/agents", {"name": "a", "x" * 1_000_000: 1}).data) < 1000


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=1e400",
        "cursor=x",
        "cursor=%00",
        "cursor=" + "a" * 500,
        "unknown=1",
        "status=sleeping",
        "kind=dancing",
        "kind=%00",
        "since=yesterday",
    ],
)
def test_a_wrong_query_is_refused(member, query):
    problem(member.get(f"/jobs?{query}"), 422)


@pytest.mark.parametrize(
    "query",
    [
        "since=0001-01-01T00:00:00Z",
        "since=0001-01-01T00:00:00%2B14:00",
        "since=9999-12-31T23:59:59-14:00",
        "since=2026-11-24T10:00:00",
        "q=%00",
        "q=(((",
        "q=%ff%fe",
        "agent_id=%00",
        "q=$where",
    ],
)
def test_an_odd_query_finds_nothing(member, query):
    found = member.get(f"/jobs?{query}")
    assert (found.status_code, found.json) == (200, {"items": [], "next_cursor": None})


@pytest.mark.parametrize(
    "path",
    ["/jobs/%00", "/jobs/%ff%fe", "/jobs/" + "a" * 200, "/agents/a%2Fb", "/agents/agent:%2F%ff%00", "/x"],
)
def test_an_odd_path_finds_nothing(member, path):
    assert member.get(path).status_code in (404, 422)


def test_the_wrong_method_is_a_problem_too(member):
    refused = member.put("/jobs", {})
    assert problem(refused, 405)
    assert "GET" in refused.headers["Allow"]


def test_a_sane_request_id_is_taken_over_and_an_odd_one_is_not(nobody):
    assert nobody.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    assert nobody.get("/healthz", headers={"X-Request-Id": "a b<c>"}).headers["X-Request-Id"] != "a b<c>"
