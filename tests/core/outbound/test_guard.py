"""The guard: no spelling of a private address passes, and what was checked is what is connected to."""

from __future__ import annotations

import socket

import pytest

from core.config import Settings
from core.errors import Invalid
from core.outbound.addresses import literal
from core.outbound.errors import AddressForbidden, NoConnection
from core.outbound.guard import Guard
from tests.core.outbound.endpoints import ALLOWED_URLS, FORBIDDEN, FORBIDDEN_URLS

HOSTS = [(kind, host) for kind, hosts in FORBIDDEN.items() for host in hosts]
LITERALS = [(kind, host) for kind, host in HOSTS if literal(host) is not None]


def resolving(*addresses):
    """A resolver that says these, whatever it is asked."""

    def resolve(host, port, **_):
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [(f, socket.SOCK_STREAM, 6, "", (a, port)) for f, a in zip(families, addresses, strict=True)]

    return resolve


@pytest.mark.parametrize(("kind", "host"), HOSTS)
def test_a_url_with_such_a_host_is_refused(kind, host):
    for url in (f"https://{host}/v1", f"https://{host}:8443/v1", f"http://{host}/v1"):
        with pytest.raises(Invalid) as refused:
            Guard("").check_url(url)
        assert refused.value.code == "endpoint_forbidden"
        assert refused.value.errors[0]["pointer"] == "/custom_endpoint"


@pytest.mark.parametrize("url", FORBIDDEN_URLS)
def test_a_url_that_could_be_read_in_two_ways_is_refused(url):
    with pytest.raises(Invalid):
        Guard("").check_url(url)


@pytest.mark.parametrize("url", ALLOWED_URLS)
def test_a_public_address_over_https_passes(url):
    Guard("").check_url(url)


@pytest.mark.parametrize(("kind", "host"), LITERALS)
def test_a_name_that_leads_there_at_call_time_is_refused(kind, host):
    guard = Guard("", resolve=resolving(str(literal(host))))
    guard.check_url("https://models.example.com/v1")
    with pytest.raises(AddressForbidden):
        guard.addresses("models.example.com", 443, "https")


@pytest.mark.parametrize(("kind", "host"), LITERALS)
def test_such_an_address_is_refused_at_call_time_in_its_own_spelling(kind, host):
    with pytest.raises(AddressForbidden):
        Guard("", resolve=resolving(str(literal(host)))).addresses(host, 443, "https")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_opened_address_is_connected_to_at_its_port_alone(host):
    guard = Guard("127.0.0.1:1,[::1]:1")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    assert guard.addresses(host, 1, "http") == [(host, family)]
    with pytest.raises(AddressForbidden):
        guard.addresses(host, 2, "https")


def test_one_private_address_among_public_ones_is_refused():
    with pytest.raises(AddressForbidden):
        Guard("", resolve=resolving("1.1.1.1", "10.0.0.1")).addresses("a.example.com", 443, "https")


def test_what_was_checked_is_what_is_connected_to():
    guard = Guard("", resolve=resolving("1.1.1.1", "2606:4700:4700::1111"))
    assert guard.addresses("a.example.com", 443, "https") == [
        ("1.1.1.1", socket.AF_INET),
        ("2606:4700:4700::1111", socket.AF_INET6),
    ]


def test_plain_http_is_refused_at_call_time_too():
    with pytest.raises(AddressForbidden):
        Guard("", resolve=resolving("1.1.1.1")).addresses("a.example.com", 80, "http")


def test_a_name_that_does_not_resolve_is_not_called_forbidden():
    def away(*_, **__):
        raise socket.gaierror(-3, "try again")

    with pytest.raises(NoConnection):
        Guard("", resolve=away).addresses("a.example.com", 443, "https")


@pytest.mark.parametrize(
    ("allow", "open_urls", "closed_urls"),
    [
        ("127.0.0.1:11434", ["http://127.0.0.1:11434"], ["http://127.0.0.1:11435", "http://127.0.0.2:11434"]),
        ("127.0.0.1", ["http://127.0.0.1:1", "https://127.1"], ["http://127.0.0.2"]),
        (
            "10.0.0.0/8",
            ["http://10.1.2.3:8000", "https://10.1.2.3"],
            ["http://11.0.0.1", "http://192.168.0.1"],
        ),
        ("10.0.0.0/8:8000", ["http://10.1.2.3:8000"], ["http://10.1.2.3:8001", "http://10.1.2.3"]),
        ("10.1.2.3/8", ["http://10.9.9.9"], ["http://11.0.0.1"]),
        ("[fd00::1]:8080", ["http://[fd00::1]:8080"], ["http://[fd00::1]", "http://[fd00::2]:8080"]),
        ("fd00::/8", ["http://[fd12::1]:9"], ["http://[fe80::1]"]),
        ("[fd00::/8]:9", ["http://[fd12::1]:9"], ["http://[fd12::1]:10"]),
        ("::1", ["http://[::1]:5"], ["http://127.0.0.1:5"]),
        ("ollama.lan:11434", ["http://ollama.lan:11434", "http://OLLAMA.lan.:11434"], ["http://ollama.lan"]),
        ("ollama", ["http://ollama:1"], ["http://ollama2:1", "http://x.ollama:1"]),
        ("localhost", ["http://localhost:1", "http://localhost.:1"], ["http://127.0.0.1:1"]),
        (" 127.0.0.1:1 , ,10.0.0.1 ", ["http://127.0.0.1:1", "http://10.0.0.1"], ["http://127.0.0.1:2"]),
        ("[2606:4700::1]:80", ["http://[2606:4700::1]:80"], ["http://[2606:4700::2]"]),
    ],
)
def test_an_operator_opens_what_is_listed_and_no_more(allow, open_urls, closed_urls):
    guard = Guard(allow)
    for url in open_urls:
        guard.check_url(url)
    for url in closed_urls:
        with pytest.raises(Invalid):
            guard.check_url(url)


def test_a_listed_name_may_lead_anywhere_and_a_listed_network_opens_what_names_lead_to():
    to_ten = resolving("10.0.0.7")
    assert Guard("llm.corp:8000", resolve=to_ten).addresses("LLM.corp.", 8000, "http")
    assert Guard("10.0.0.0/8", resolve=to_ten).addresses("any.example.com", 8000, "http")
    with pytest.raises(AddressForbidden):
        Guard("llm.corp:8000", resolve=to_ten).addresses("llm.corp", 8001, "http")


@pytest.mark.parametrize(
    "entry",
    [
        "10.0.0.0/33",
        "10.0.0.300",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:99999",
        "127.0.0.1:http",
        "http://127.0.0.1:1",
        "*.corp",
        "a b",
        "[::1",
        "10.0.0.0/8/8",
        "user@host",
    ],
)
def test_an_entry_that_cannot_be_read_is_one_clear_line_at_the_start(entry):
    with pytest.raises(ValueError, match=r"is not an address|has no port") as wrong:
        Settings(custom_endpoint_allow=f"10.0.0.1,{entry}")
    said = wrong.value.errors()[0]
    assert said["loc"] == ("custom_endpoint_allow",)
    assert entry in said["msg"]
    assert "\n" not in said["msg"]
