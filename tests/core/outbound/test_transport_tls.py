"""TLS: the certificate is that of the name, the connection goes where the guard looked, reads are timed."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.clock import utcnow
from core.outbound.errors import NoAnswerInTime, NoConnection
from core.outbound.guard import Guard
from core.outbound.transport import Transport
from tests.providers.hasty import NO_ANSWER, PATIENT
from tests.providers.scripted import answering, provider, trickling
from tests.stack import ROOT
from tests.waiting import LONG_S

NAME = "models.example.com"


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

    guard = Guard("127.0.0.1", resolve=resolve)
    made = Transport(guard, whole=PATIENT, most_bytes=1_000_000, ca_bundle=certificate)
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
        with pytest.raises(NoConnection):
            post(transport, f"https://other.example.com:{one.port}/v1")
        assert one.received == []


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_byte_at_a_time_ends_at_the_deadline(transport, tls, begin):
    transport.whole = NO_ANSWER
    with provider(trickling(begin), tls=tls) as one, pytest.raises(NoAnswerInTime):
        post(transport, f"https://{NAME}:{one.port}/v1")


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_it_does_under_gevent_too(certificate, tls, begin):
    with provider(trickling(begin), tls=tls) as one:
        script = [sys.executable, "-m", "tests.providers.ask_under_gevent", one.url, str(certificate)]
        done = subprocess.run(script, cwd=ROOT, capture_output=True, timeout=LONG_S, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == ["provider_timeout", "provider_timeout"]


class Tunnel(socketserver.StreamRequestHandler):
    """A proxy that joins whoever asks to the one server that it knows."""

    def handle(self):
        asked = self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        self.server.asked.append(asked)
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self.server.leads_to)) as other:
            ways = [(self.connection, other), (other, self.connection)]
            threads = [threading.Thread(target=self.carry, args=way, daemon=True) for way in ways]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(LONG_S)

    def carry(self, one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


def test_a_vendor_is_reached_through_the_configured_proxy_and_its_name_is_verified(certificate, tls):
    with (
        provider(answering({"ok": True}), tls=tls) as vendor,
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as proxy,
    ):
        proxy.asked, proxy.leads_to, proxy.daemon_threads = [], vendor.port, True
        threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{proxy.server_address[1]}"
        transport = Transport(
            Guard(""), whole=PATIENT, most_bytes=1_000_000, ca_bundle=certificate, proxy=address
        )
        for _ in range(2):
            with transport.post(
                f"https://{NAME}/v1", {"Authorization": "Bearer k"}, b"{}", guarded=False
            ) as answer:
                assert answer.body() == b'{"ok": true}'
        transport.close()
        assert [asked.split()[:2] for asked in proxy.asked] == [[b"CONNECT", f"{NAME}:443".encode()]]
        assert [request.headers["authorization"] for request in vendor.received] == ["Bearer k"] * 2
        proxy.shutdown()
