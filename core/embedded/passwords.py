"""Passwords of the embedded stores: made at the first start, kept in DATA_DIR, given to an older folder too.

The MongoDB-compatible server asks nobody for a password while its first user is made. So it runs for that
second with TLS, and takes only the client that holds the certificate: one that is made here and kept nowhere.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import subprocess
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from core.clock import utcnow
from core.config import EMBEDDED_USER, Settings
from core.embedded import stores
from core.embedded.stores import StartFailed
from core.private_files import made_once

STARTS_WITHIN_S = 60
LOOPBACK = "127.0.0.1"


def make(settings: Settings, store: str) -> str:
    """The password of `valkey` or `mongodb`, made unless it is there. Raises `NotPrivate`."""
    made_once(settings.password_file(store), secrets.token_urlsafe(32))
    return settings.password_of(store)


def set_in_mongodb(port: int, folder: Path, password: str) -> None:
    """Make the store's one user, and end all others, unless that was done. Raises `StartFailed`."""
    mark, done = folder / "user", hashlib.sha256(password.encode()).hexdigest()
    if mark.exists() and mark.read_text() == done:
        return
    with tempfile.TemporaryDirectory(prefix="vutler") as private:
        pem = Path(private) / "both.pem"
        pem.write_bytes(_certificate())
        flags = [f"--tls-{what}-file={pem}" for what in ("cert", "key", "ca")]
        server = subprocess.Popen(stores.mongodb(port, folder, *flags, "--tls-require-client-cert"))
        try:
            _set(port, pem, password)
        except PyMongoError as error:
            raise StartFailed(f"MongoDB took no password ({type(error).__name__})") from None
        finally:
            server.kill()  # all it acknowledged is on the disk; asked to end it takes 2 s, or stands still
            server.wait()
    mark.write_text(done)


def _set(port: int, pem: Path, password: str) -> None:
    uri, certificate = stores.mongodb_uri(port), str(pem)
    client: MongoClient[dict[str, Any]] = MongoClient(
        uri,
        tls=True,
        tlsCAFile=certificate,
        tlsCertificateKeyFile=certificate,
        serverSelectionTimeoutMS=STARTS_WITHIN_S * 1000,
    )
    with client:
        for user in list(client.admin["system.users"].find()):
            client[user["db"]].command("dropUser", user["user"])
        client.admin.command("createUser", EMBEDDED_USER, pwd=password, roles=["root"])


def _certificate() -> bytes:
    """A key and its own certificate, for a day, as PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), utcnow()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOOPBACK)])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, plain) + certificate.public_bytes(pem)
