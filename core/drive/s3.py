"""A bucket as a storage: AWS, MinIO, SeaweedFS, R2. Large objects go in parts, each with its checksum."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from core.drive.behind import Behind
from core.drive.keys import STAGING, is_ours, parts
from core.drive.storage import CHUNK, Bytes, Stored
from core.errors import BytesMissing, StorageAway, StorageFull
from core.services import Beside, Run, at_once, here

PART = 5 * 1024 * 1024
"""The smallest that S3 knows. R2 wants all but the last of one size; 10,000 of these are 48 GiB."""
AT_ONCE = 2
"""So many parts of one object are on their way. Each is memory, and R2 takes two or three."""
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

    def __init__(
        self, client: Any, bucket: str, run: Run = here, beside: Beside = at_once, *, part_bytes: int = PART
    ) -> None:
        self.client = client
        self.bucket = bucket
        self.run = run
        self.beside = beside
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

    def said(self, key: str) -> str | None:
        """What a server that knows SHA-256 has computed itself; of parts, the checksum of theirs."""
        with told():
            head = self.client.head_object(**self.named(key), ChecksumMode="ENABLED")
        said: str | None = head.get("ChecksumSHA256")
        return said

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
    """An object that is being sent: in one piece, or in parts once it is longer than one.

    Each has its SHA-256, which the server checks. One that knows only MD5 checks nothing: then the job that
    finishes the upload does, by reading it.
    """

    def __init__(self, storage: S3Storage, key: str) -> None:
        self.storage = storage
        self.key = key
        self._named = storage.named(key)
        self._held = bytearray()
        self._upload_id: str | None = None
        self._digest = hashlib.sha256()
        self._sums: list[bytes] = []
        self._parts: dict[int, dict[str, Any]] = {}
        self._behind = Behind(storage.beside, AT_ONCE)

    def write(self, data: Bytes) -> None:
        self._held += data
        while len(self._held) > self.storage.part_bytes:  # the last part must not be empty
            part = bytes(memoryview(self._held)[: self.storage.part_bytes])
            del self._held[: self.storage.part_bytes]
            self._send(part)

    def sha256(self) -> str:
        whole = self._digest.copy()
        self.storage.run(lambda: whole.update(self._held))
        return whole.hexdigest()

    def keep(self) -> str:
        last, self._held = bytes(self._held), bytearray()
        if self._upload_id is None:
            said = self._hashed(last)
            with told():
                self.storage.client.put_object(**self._named, Body=last, ChecksumSHA256=said)
            return said
        self._send(last)
        self._behind.done()
        parts = [self._parts[n] for n in sorted(self._parts)]
        with told():
            self.storage.client.complete_multipart_upload(
                **self._named, UploadId=self._upload_id, MultipartUpload={"Parts": parts}
            )
        return f"{_base64(hashlib.sha256(b''.join(self._sums)).digest())}-{len(parts)}"

    def drop(self) -> None:
        self._behind.given_up()
        self._held = bytearray()
        with contextlib.suppress(StorageAway, StorageFull):
            if self._upload_id is not None:
                self.storage.abort(self.key, self._upload_id)
            self.storage.delete(self.key)

    def _send(self, part: bytes) -> None:
        if self._upload_id is None:
            with told():
                begun = self.storage.client.create_multipart_upload(**self._named, ChecksumAlgorithm="SHA256")
            self._upload_id = begun["UploadId"]
        said = self._hashed(part)
        n = len(self._sums)
        self._behind.do(lambda: self._sent(n, part, said))

    def _sent(self, n: int, part: bytes, said: str) -> None:
        which = {**self._named, "UploadId": self._upload_id, "PartNumber": n}
        with told():
            sent = self.storage.client.upload_part(**which, Body=part, ChecksumSHA256=said)
        self._parts[n] = {"PartNumber": n, "ETag": sent["ETag"], "ChecksumSHA256": said}

    def _hashed(self, part: bytes) -> str:
        """The part's checksum; it is the object's next part."""

        def hash_both() -> bytes:
            self._digest.update(part)
            return hashlib.sha256(part).digest()

        self._sums.append(self.storage.run(hash_both))
        return _base64(self._sums[-1])


class S3Reading:
    """The body of an answer, read in pieces."""

    sent_to = None

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


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
