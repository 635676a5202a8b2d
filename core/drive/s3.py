"""A bucket as a storage: AWS, MinIO, SeaweedFS, R2. Large objects go in parts, each with its checksum."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from core.drive.keys import STAGING, is_ours, parts
from core.drive.storage import CHUNK, Stored
from core.errors import BytesMissing, StorageAway, StorageFull

PART = 8 * 1024 * 1024
"""R2 wants all parts but the last of one size; 10,000 of these are 80 GiB."""
COPIED_IN_PARTS_FROM = 1024 * 1024 * 1024
"""One CopyObject call takes 5 GB at most (AWS), and keeps its caller waiting for all of it."""
COPYING = TransferConfig(
    multipart_threshold=COPIED_IN_PARTS_FROM, multipart_chunksize=COPIED_IN_PARTS_FROM // 4, max_concurrency=4
)

MISSING = ("NoSuchKey", "404", "NotFound", "NoSuchUpload")
FULL = ("QuotaExceeded", "EntityTooLarge", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "507")


class S3Storage:
    """`client`: boto3's. A bucket may hold more than ours: only keys of our form are seen."""

    kind = "s3"

    def __init__(self, client: Any, bucket: str, *, part_bytes: int = PART) -> None:
        self.client = client
        self.bucket = bucket
        self.part_bytes = part_bytes

    def stage(self, key: str) -> S3Staging:
        return S3Staging(self, key)

    def move(self, staged: str, key: str, media_type: str) -> None:
        source = self.named(staged)
        said = {"ContentType": media_type, "MetadataDirective": "REPLACE"}
        with told():
            try:
                self.client.copy(source, self.bucket, self.named(key)["Key"], ExtraArgs=said, Config=COPYING)
            except ClientError as error:
                if _code(error) not in MISSING:
                    raise
                self.client.head_object(**self.named(key))  # an earlier call may have moved it
        self.delete(staged)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> S3Reading:
        named = self.named(key)
        part = {} if start == 0 and stop is None else {"Range": f"bytes={start}-{_last(stop)}"}
        with told():
            return S3Reading(self.client.get_object(**named, **part))

    def delete(self, key: str) -> None:
        with told(), contextlib.suppress(BytesMissing):
            self.client.delete_object(**self.named(key))
        if key.startswith(STAGING):
            for upload in self._uploads(key):
                self.abort(key, upload["UploadId"])

    def list(self, folder: str) -> Iterator[Stored]:
        with told():
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=f"{folder}/"):
                for found in page.get("Contents", ()):
                    yield from _ours(Stored(found["Key"], found["Size"], found["LastModified"]))
            for upload in self._uploads(f"{folder}/"):
                yield from _ours(Stored(upload["Key"], 0, upload["Initiated"]))

    def link(self, key: str, seconds: int, headers: Mapping[str, str]) -> str:
        said = {f"Response{name.replace('-', '')}": value for name, value in headers.items()}
        with told():
            made: str = self.client.generate_presigned_url(
                "get_object", Params={**self.named(key), **said}, ExpiresIn=seconds
            )
        return made

    def named(self, key: str) -> dict[str, str]:
        """An object, as boto3's calls take it. Raises `ValueError` for a key that is not ours."""
        return {"Bucket": self.bucket, "Key": "/".join(parts(key))}

    def abort(self, key: str, upload_id: str) -> None:
        """Drop the parts of an object that was not finished; safe to repeat."""
        with contextlib.suppress(BytesMissing), told():
            self.client.abort_multipart_upload(**self.named(key), UploadId=upload_id)

    def _uploads(self, prefix: str) -> Iterator[Any]:
        with told():
            pages = self.client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                yield from page.get("Uploads", ())


class S3Staging:
    """An object that is being sent: in one piece, or in parts once it is longer than one."""

    def __init__(self, storage: S3Storage, key: str) -> None:
        self.storage = storage
        self.key = key
        self._named = storage.named(key)
        self._held = bytearray()
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        self._held += data
        while len(self._held) > self.storage.part_bytes:  # the last part must not be empty
            part = bytes(memoryview(self._held)[: self.storage.part_bytes])
            del self._held[: self.storage.part_bytes]
            self._send(part)

    def keep(self) -> None:
        client, last = self.storage.client, bytes(self._held)
        self._held = bytearray()
        if self._upload_id is None:
            with told():
                client.put_object(**self._named, Body=last, ContentMD5=_md5(last))
            return
        self._send(last)
        with told():
            client.complete_multipart_upload(
                **self._named, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
            )

    def drop(self) -> None:
        self._held = bytearray()
        with contextlib.suppress(StorageAway, StorageFull):
            if self._upload_id is not None:
                self.storage.abort(self.key, self._upload_id)
            self.storage.delete(self.key)

    def _send(self, part: bytes) -> None:
        client, n = self.storage.client, len(self._parts) + 1
        with told():
            if self._upload_id is None:
                self._upload_id = client.create_multipart_upload(**self._named)["UploadId"]
            sent = client.upload_part(
                **self._named, UploadId=self._upload_id, PartNumber=n, Body=part, ContentMD5=_md5(part)
            )
        self._parts.append({"PartNumber": n, "ETag": sent["ETag"]})


class S3Reading:
    """The body of an answer, read in pieces."""

    def __init__(self, answer: Any) -> None:
        whole = answer.get("ContentRange", "").rpartition("/")[2] or answer["ContentLength"]
        self.size = int(whole)
        self._body = answer["Body"]

    def __iter__(self) -> Iterator[bytes]:
        with told():
            while piece := self._body.read(CHUNK):
                yield piece

    def close(self) -> None:
        self._body.close()


@contextlib.contextmanager
def told() -> Iterator[None]:
    """What a bucket, or the way to it, says, in our words. No key and no address is told."""
    try:
        yield
    except ClientError as error:
        code = _code(error)
        if code in MISSING:
            raise BytesMissing from None
        if code in FULL:
            raise StorageFull(f"the drive's bucket takes no more: {code}") from None
        raise StorageAway(f"the drive's bucket refuses: {code}") from None
    except (BotoCoreError, HTTPClientError) as error:
        raise StorageAway(f"the drive's bucket does not answer: {type(error).__name__}") from None


def _ours(found: Stored) -> Iterator[Stored]:
    if is_ours(found.key):
        yield found


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _last(stop: int | None) -> str:
    return "" if stop is None else str(stop - 1)


def _md5(data: bytes) -> str:
    """The checksum that every S3 server knows; it guards against accidents, not against people."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
