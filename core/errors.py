"""What can go wrong and be told to a user. HTTP statuses are known in `web/problems.py` alone.

Problem                 anything a user may be told; `code` names it for machines
├─ Invalid              the request itself is wrong; `errors` points at the places
│  ├─ KeyRequired       a provider key must be given (again): a key belongs to the address it was given for
│  └─ IdempotencyMismatch  the same Idempotency-Key came with another body
├─ Unauthorized         no key, or a wrong one
├─ Forbidden            the key's role does not allow this
├─ NotFound             not there, or another workspace's
├─ Conflict             the object's state forbids it
├─ TooLarge             over a limit in bytes
├─ BudgetExceeded       a budget or a hard limit leaves no room
├─ RateLimited          too many requests; `retry_after` in seconds
├─ Unavailable          a store is away; nothing was done
│  └─ StorageAway       the drive's disk or bucket cannot be used
├─ StorageFull          the drive's disk or bucket takes no more
├─ BytesMissing         a file's record is there, its bytes are not
├─ JobFailed            a job's own end: `worker_lost`, `quarantined`, `deadline`, `internal`
└─ ProviderError        see core.llm.failures
"""

from __future__ import annotations

from typing import Any

LONGEST_POINTER = 300


def pointer(location: tuple[str | int, ...]) -> str:
    """A JSON pointer (RFC 6901): `("messages", 0, "role")` is `/messages/0/role`. A very long one is cut."""
    whole = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)
    return whole[:LONGEST_POINTER]


class Problem(Exception):
    """Something that may be told to the user as it stands: `title` for the kind, `detail` for the case."""

    code = "problem"
    title = "Something went wrong"

    def __init__(self, detail: str = "", *, code: str | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        if code is not None:
            self.code = code

    def as_dict(self) -> dict[str, Any]:
        """The problem object of RFC 9457, without what only an HTTP answer knows."""
        return {
            "type": f"/problems/{self.code.replace('_', '-')}",
            "title": self.title,
            "detail": self.detail,
            "code": self.code,
        }


class Invalid(Problem):
    """`errors`: [{"pointer": "/messages/0/role", "detail": "…"}]."""

    code = "invalid"
    title = "The request is not valid"

    def __init__(
        self, detail: str = "", *, errors: list[dict[str, str]] | None = None, code: str | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.errors = errors or []

    def as_dict(self) -> dict[str, Any]:
        return super().as_dict() | ({"errors": self.errors} if self.errors else {})


class KeyRequired(Invalid):
    code = "key_required"
    title = "A provider key is required"


class IdempotencyMismatch(Invalid):
    code = "idempotency_mismatch"
    title = "This Idempotency-Key was used with another body"


class Unauthorized(Problem):
    code = "unauthorized"
    title = "A valid API key is required"


class Forbidden(Problem):
    code = "forbidden"
    title = "This key may not do that"


class NotFound(Problem):
    code = "not_found"
    title = "Not found"


class Conflict(Problem):
    code = "conflict"
    title = "The state of this object does not allow that"


class TooLarge(Problem):
    code = "too_large"
    title = "Too large"


class BudgetExceeded(Problem):
    code = "budget_exceeded"
    title = "This does not fit into the budget"


class RateLimited(Problem):
    code = "rate_limited"
    title = "Too many requests"

    def __init__(self, detail: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(Problem):
    code = "unavailable"
    title = "A store does not answer; nothing was done"


class StorageAway(Unavailable):
    code = "storage_away"
    title = "The drive's storage does not answer; nothing was done"


class StorageFull(Problem):
    code = "storage_full"
    title = "The drive's storage is full"


class BytesMissing(Problem):
    code = "bytes_missing"
    title = "The bytes of this file are missing"


class JobFailed(Problem):
    """The end of a job that is not a provider's doing; `code` says which."""

    code = "job_failed"
    title = "The job failed"
