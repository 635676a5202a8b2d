"""A real S3 server for tests: SeaweedFS as one process, on loopback, in a folder of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.stack import free_ports
from tests.waiting import LONG_S

KEY, SECRET = "a-test-key", "a-test-secret-0123456789"
BUCKET = "drive"
ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]


class SeaweedFS:
    """A store, and a gateway that speaks S3; `kill` and `start` are of the gateway, which takes a second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = free_ports(8)
        self.url = f"http://127.0.0.1:{self.ports}"
        self.environment = {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        (folder / "data").mkdir(parents=True)
        self.store = self._run("store", self._store())

    def start(self, key: str = KEY) -> None:
        """`key`: the one that it knows, with `SECRET`."""
        self._allow(key)
        self.gateway = self._run("gateway", self._gateway())
        self._until_it_answers(key)

    def kill(self) -> None:
        self.gateway.kill()
        self.gateway.wait()

    def end(self) -> None:
        """SIGTERM takes it 10 to 15 s."""
        self.kill()
        self.store.kill()
        self.store.wait()

    def _run(self, name: str, arguments: list[str]) -> subprocess.Popen:
        bare = {"HOME": str(self.folder)}  # it would take the credentials of its environment for its own
        command = [str(Path(sys.executable).parent / "weed"), "-v=0", *arguments]
        with (self.folder / f"{name}.log").open("a") as log:
            return subprocess.Popen(command, env=bare, stdout=log, stderr=log)

    def client(self, key: str = KEY):
        """A client of boto3's, as an operator would make one."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=SECRET,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def _allow(self, key: str) -> None:
        identity = {"name": "test", "credentials": [{"accessKey": key, "secretKey": SECRET}]}
        said = json.dumps({"identities": [{**identity, "actions": ACTIONS}]})
        (self.folder / "s3.json").write_text(said)

    def _store(self) -> list[str]:
        """Every port is set, the gRPC ones too: the defaults are 10,000 above."""
        _, _, *ports = range(self.ports, self.ports + 8)
        names = ("master.port", "volume.port", "filer.port")
        said = [f"-{name}={port}" for name, port in zip(names, ports, strict=False)]
        inner = [f"-{name}.grpc={port}" for name, port in zip(names, ports[3:], strict=True)]
        return [
            *("server", f"-dir={self.folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *said, *inner),
            *("-master.telemetry=false", "-master.volumeSizeLimitMB=256", "-volume.max=300", "-filer"),
        ]

    def _gateway(self) -> list[str]:
        s3, grpc, _, _, filer, _, _, filer_grpc = range(self.ports, self.ports + 8)
        return [
            *("s3", f"-port={s3}", f"-port.grpc={grpc}", "-ip.bind=127.0.0.1"),
            *(f"-filer=127.0.0.1:{filer}.{filer_grpc}", f"-config={self.folder / 's3.json'}"),
            *("-port.iceberg=0", "-port.lance=0"),
        ]

    def _until_it_answers(self, key: str, seconds: float = LONG_S) -> None:
        deadline = time.monotonic() + seconds
        client = self.client(key)
        try:
            while True:
                assert self.gateway.poll() is None, self._said()
                try:
                    self._ready(client)
                except (BotoCoreError, ClientError):
                    assert time.monotonic() < deadline, self._said()
                    time.sleep(0.2)
                else:
                    return
        finally:
            client.close()

    def _said(self) -> str:
        return "".join((self.folder / f"{name}.log").read_text()[-2000:] for name in ("store", "gateway"))

    def _ready(self, client) -> None:
        """It answers before its volume server has joined: a write tells."""
        if not any(bucket["Name"] == BUCKET for bucket in client.list_buckets()["Buckets"]):
            client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
        client.delete_object(Bucket=BUCKET, Key="ready")
