"""The drive as processes: kills, outages, a full disk, and the tools that people use."""

from __future__ import annotations

import hashlib
import os
import resource
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests

from core.drive.local import LocalStorage
from core.drive.s3 import S3Storage
from tests.drive_run import Run
from tests.seaweed import BUCKET, SECRET, SeaweedFS
from tests.seaweed import KEY as ACCESS_KEY
from tests.stack import Stack

MIB = 1024 * 1024
UNNEEDED = ("chat", "isolation", "runtime", "sandbox")
QUICK = {"LEASE_S": "4", "BEAT_S": "1", "DRIVE_STAGING_S": "8", "BODY_TIMEOUT_S": "3"}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """An S3 server that may be killed."""
    server = SeaweedFS(tmp_path_factory.mktemp("bucket"))
    server.start()
    yield server
    server.end()


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("drive") / "data", without=UNNEEDED, **QUICK)
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def in_bucket(tmp_path_factory, bucket):
    kept_in = {"DRIVE_STORAGE": "s3", "DRIVE_S3_BUCKET": BUCKET, "DRIVE_S3_ENDPOINT": bucket.url}
    stack = Stack(
        tmp_path_factory.mktemp("drive") / "data", without=UNNEEDED, **QUICK, **kept_in, **bucket.environment
    )
    stack.start()
    yield stack
    stack.stop()


def upload(stack, data, **headers):
    return requests.post(
        f"{stack.url}/drive/upload",
        files={"file": ("a.bin", data)},
        headers={**stack.http.headers, "Prefer": "wait=60", **headers},
        timeout=90,
    )


def stored(stack, data):
    answer = upload(stack, data)
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded"), answer.text
    return answer.json()["result"]


def test_uploads_survive_the_death_of_web_and_workers_on_disk(on_disk):
    storage = LocalStorage(on_disk.data_dir / "drive")
    Run(on_disk, storage, kills=2, sizes=(MIB // 5, 4 * MIB), clients=4).go(kill_every_s=0.8)


def test_uploads_survive_the_death_of_web_workers_and_the_bucket(in_bucket, bucket):
    def bucket_goes_too(n):
        if n % 2:
            bucket.kill()
            time.sleep(1)
            bucket.start()

    client = bucket.client()
    storage = S3Storage(client, BUCKET)
    run = Run(in_bucket, storage, kills=2, sizes=(MIB // 5, 10 * MIB), clients=4)
    run.go(kill_every_s=1, more=bucket_goes_too)
    client.close()


@pytest.mark.parametrize(
    "command",
    [
        ["curl", "-fsS", "-C", "-", "-H", "{key}", "{url}", "-o", "{file}"],
        ["wget", "-q", "-c", "--header", "{key}", "{url}", "-O", "{file}"],
        [
            "aria2c",
            "-q",
            "-c",
            "--allow-overwrite=false",
            "--header",
            "{key}",
            "-d",
            "{folder}",
            "-o",
            "file",
            "{url}",
        ],
    ],
    ids=lambda command: command[0],
)
def test_a_broken_download_is_resumed_by(command, on_disk, tmp_path):
    data = os.urandom(5 * MIB)
    record = stored(on_disk, data)
    file = tmp_path / "file"
    file.write_bytes(data[: 2 * MIB])
    words = {
        "key": f"Authorization: {on_disk.http.headers['Authorization']}",
        "url": f"{on_disk.url}/drive/download/{record['id']}",
        "file": str(file),
        "folder": str(tmp_path),
    }
    subprocess.run([word.format(**words) for word in command], check=True, timeout=60)
    assert file.read_bytes() == data


def test_the_bucket_shows_what_the_records_say(in_bucket, bucket, tmp_path):
    """Seen by boto3 and by s3cmd."""
    data = os.urandom(9 * MIB)
    record = stored(in_bucket, data)
    client = bucket.client()
    with in_bucket.database() as db:
        kept = db.drive_files.find_one({"_id": record["id"]})
        head = client.head_object(Bucket=BUCKET, Key=kept["key"])
        assert (head["ContentLength"], head["ContentType"]) == (record["size"], record["media_type"])
        assert client.get_object(Bucket=BUCKET, Key=kept["key"])["Body"].read() == data
        records = {f"s3://{BUCKET}/{r['key']}": r["size"] for r in db.drive_files.find({"state": "stored"})}
    client.close()
    host = bucket.url.removeprefix("http://")
    s3cmd = ["s3cmd", "--no-ssl", f"--host={host}", f"--host-bucket={host}", "--config=/dev/null"]
    keys = [f"--access_key={ACCESS_KEY}", f"--secret_key={SECRET}", "--region=us-east-1"]
    said = subprocess.run(
        [*s3cmd, *keys, "ls", "-r", f"s3://{BUCKET}/files/"],
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    ).stdout
    assert {line.split()[3]: int(line.split()[2]) for line in said.splitlines()} == records
    file = tmp_path / "file"
    subprocess.run(
        [*s3cmd, *keys, "--quiet", "get", f"s3://{BUCKET}/{kept['key']}", str(file)], check=True, timeout=60
    )
    assert hashlib.sha256(file.read_bytes()).hexdigest() == record["sha256"]


def test_a_full_disk_is_said_and_it_goes_on_when_there_is_room(on_disk):
    """Full for the web process, whose files may not be longer than this."""
    web = on_disk.pids("web.main")
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in web}
    for pid, (_, hard) in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (MIB, hard))
    refused = upload(on_disk, os.urandom(3 * MIB))
    assert (refused.status_code, refused.json()["code"]) == (507, "storage_full"), refused.text
    assert list(LocalStorage(on_disk.data_dir / "drive").list("staging")) == []
    for pid, limit in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
    stored(on_disk, os.urandom(3 * MIB))


def test_a_bucket_that_is_away_is_said_and_it_goes_on_when_it_is_back(in_bucket, bucket):
    bucket.kill()
    refused = upload(in_bucket, b"x" * 100)
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_away"), refused.text
    bucket.start("another")
    refused = upload(in_bucket, b"x" * 20 * MIB)
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_away"), refused.text
    assert SECRET not in refused.text
    bucket.kill()
    bucket.start()
    stored(in_bucket, b"x" * 100)


def test_an_upload_at_a_byte_a_second_is_cut_off_and_leaves_nothing(on_disk):
    def drip():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        while True:
            yield b"x"
            time.sleep(1)

    headers = {**on_disk.http.headers, "Content-Type": "multipart/form-data; boundary=b"}
    answer = requests.post(f"{on_disk.url}/drive/upload", data=drip(), headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (408, "body_too_slow")
    assert list(LocalStorage(on_disk.data_dir / "drive").list("staging")) == []


FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"x" * 3 * MIB
CHUNK = f"{len(FILE):x}".encode() + b"\r\n" + FILE + b"\r\n"


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (f"Content-Length: {2 * len(FILE)}", FILE),
        ("Transfer-Encoding: chunked", CHUNK),
        ("Transfer-Encoding: chunked", CHUNK + b"nonsense\r\n"),
        ("Transfer-Encoding: chunked", CHUNK + b"0\r\n\r\n"),
    ],
    ids=["shorter than its length", "without its last chunk", "a broken chunk", "a form without its end"],
)
def test_an_upload_that_is_cut_off_is_refused_and_leaves_nothing(framing, body, on_disk):
    """Cut off on the wire, by a client that still listens."""
    key = on_disk.http.headers["Authorization"]
    head = ["POST /api/v1/drive/upload HTTP/1.1", "Host: localhost", f"Authorization: {key}", framing]
    said = "\r\n".join([*head, "Content-Type: multipart/form-data; boundary=b", "", ""]).encode()
    address = urlsplit(on_disk.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as client:
        client.sendall(said + body)
        client.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").readline().split()[1] == b"400"
    with on_disk.database() as db:
        storage = LocalStorage(on_disk.data_dir / "drive")
        on_disk.until(lambda: not list(storage.list("staging")), "nothing is staged")
        on_disk.until(lambda: db.drive_uploads.find_one() is None, "nothing arrives")
        assert db.drive_files.find_one({"state": {"$ne": "stored"}}) is None


def test_uploads_hold_up_nobody(on_disk):
    """While large files arrive, others are answered."""
    over = threading.Event()

    def keep_uploading(_):
        while not over.is_set():
            assert upload(on_disk, bytes(40 * MIB)).status_code == 200

    with ThreadPoolExecutor(2) as pool:
        uploads = [pool.submit(keep_uploading, n) for n in range(2)]
        for _ in range(50):
            assert on_disk.http.get(f"{on_disk.url}/drive/usage").status_code == 200
        over.set()
        for each in uploads:
            each.result()
