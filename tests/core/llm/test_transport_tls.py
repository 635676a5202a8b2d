"""TLS: the certificate is that of the name, the connection goes where the guard looked, reads are timed."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import subprocess
import sys
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.config import Settings
from core.ids import utcnow
from core.llm.failures import ReadTimeout, Unreachable
from core.llm.guard import Guard
from core.llm.transport import Deadlines, Transport
from tests.providers.scripted import answering, provider, trickling
from tests.stack import ROOT

NAME = "models.example.com"
DEADLINES = Deadlines(connect=5, first_byte=0.4, between=0.4, total=1.2)
A_HANG_S = 30


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A PEM file with key and certificate of NAME and 127.0.0.1, signed by itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), utcnow()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    names = x509.SubjectAlternativeName(
        [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture(scope="module")
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def transport(certificate):
    def resolve(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    made = Transport(
        Settings(provider_ca_bundle=certificate), DEADLINES, guard=Guard("127.0.0.1", resolve=resolve)
    )
    yield made
    made.close()


def post(transport, url):
    with transport.post(url, {}, b"{}", guarded=True) as answer:
        return answer.body()


def test_the_name_is_verified_though_the_address_is_connected_to(transport, tls):
    with provider(answering({"ok": True}), tls=tls) as one:
        assert post(transport, f"https://{NAME}:{one.port}/v1") == b'{"ok": true}'
        assert post(transport, f"https://{NAME}:{one.port}/v1") == b'{"ok": true}'
        assert one.connections == 1


def test_another_names_certificate_is_refused_before_the_key_is_sent(transport, tls):
    with provider(answering({"ok": True}), tls=tls) as one:
        with pytest.raises(Unreachable) as refused:
            post(transport, f"https://other.example.com:{one.port}/v1")
        assert not refused.value.possibly_charged
        assert one.received == []


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_byte_at_a_time_ends_at_the_deadline(transport, tls, begin):
    with provider(trickling(begin), tls=tls) as one, pytest.raises(ReadTimeout):
        post(transport, f"https://{NAME}:{one.port}/v1")


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_it_does_under_gevent_too(certificate, tls, begin):
    with provider(trickling(begin), tls=tls) as one:
        script = [sys.executable, "-m", "tests.providers.ask_under_gevent", one.url, str(certificate)]
        done = subprocess.run(script, cwd=ROOT, capture_output=True, timeout=A_HANG_S, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == ["provider_timeout", "provider_timeout"]
