"""How an HTTP request can end without a whole answer. The tree:

OutboundError           `status`: of the answer, when it had begun
├─ NoConnection         nobody was reached; nothing was sent
├─ AddressForbidden     the guard does not allow the address; nothing was sent
├─ UnsendableHeader     a header holds characters that HTTP cannot carry; nothing was sent
├─ NoAnswerInTime       sent, and the answer, or the rest of it, did not come in time
├─ ConnectionCut        sent, and the connection ended, or spoke no HTTP, before the answer was whole
└─ AnswerTooLarge       the answer has more bytes than are allowed
"""

from __future__ import annotations


class OutboundError(Exception):
    """The text says what happened, without a header, a body or a URL."""

    def __init__(self, detail: str, *, status: int | None = None) -> None:
        super().__init__(detail)
        self.status = status


class NoConnection(OutboundError):
    pass


class AddressForbidden(OutboundError):
    pass


class UnsendableHeader(OutboundError):
    pass


class NoAnswerInTime(OutboundError):
    pass


class ConnectionCut(OutboundError):
    pass


class AnswerTooLarge(OutboundError):
    pass
