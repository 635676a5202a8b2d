"""The storage that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.config import Settings
from core.drive.local import LocalStorage
from core.drive.storage import Storage
from core.services import Beside, Run, at_once, here

CONNECTIONS = 64
ANSWERS_WITHIN_S = 60.0
CONNECTS_WITHIN_S = 5.0


def make(settings: Settings, run: Run = here, beside: Beside = at_once) -> Storage:
    """A storage over clients of its own.

    `run`: where a disk is waited for, and bytes are hashed. `beside`: how they are written while more arrive.
    """
    return KINDS[settings.drive_storage](settings, run, beside)


def _local(settings: Settings, run: Run, beside: Beside) -> Storage:
    settings.drive_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStorage(settings.drive_folder, run, beside)


def _s3(settings: Settings, run: Run, beside: Beside) -> Storage:
    # Here, not above: boto3 is 25 MB of memory to whoever keeps files on a disk.
    from core.drive.s3 import S3Storage

    assert settings.drive_s3_bucket is not None
    return S3Storage(_client(settings), settings.drive_s3_bucket, run, beside)


def _client(settings: Settings) -> Any:
    """boto3's, with the credentials of its usual chain. Checksums are our own: not all servers know the new.

    A server of one's own is addressed by path: a name for each bucket would have to be made for it. Bodies
    are signed by the SHA-256 that each object and part has among its headers: botocore would hash them once
    more, and a web process serves nobody else meanwhile.
    """
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=settings.drive_s3_endpoint,
        region_name=settings.drive_s3_region,
        config=Config(
            signature_version="s3v4",
            s3={
                "addressing_style": "path" if settings.drive_s3_endpoint else "auto",
                "payload_signing_enabled": False,
            },
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=CONNECTIONS,
            connect_timeout=CONNECTS_WITHIN_S,
            read_timeout=ANSWERS_WITHIN_S,
            retries={"mode": "standard", "max_attempts": 3},
        ),
    )


KINDS: dict[str, Callable[[Settings, Run, Beside], Storage]] = {"local": _local, "s3": _s3}
