"""HTTP to providers: the limits of a call, and the failure that a call without an answer stands for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.config import Settings
from core.llm.failures import (
    EndpointForbidden,
    KeyRefused,
    ProviderBusy,
    ProviderError,
    ReadTimeout,
    Unreachable,
)
from core.outbound.errors import (
    AddressForbidden,
    AnswerTooLarge,
    ConnectionCut,
    NoAnswerInTime,
    NoConnection,
    OutboundError,
    UnsendableHeader,
)
from core.outbound.guard import Guard
from core.outbound.transport import Deadlines, Transport

FAILURES: dict[type[OutboundError], type[ProviderError]] = {
    NoConnection: Unreachable,
    AddressForbidden: EndpointForbidden,
    UnsendableHeader: KeyRefused,
    NoAnswerInTime: ReadTimeout,
    ConnectionCut: ProviderBusy,
    AnswerTooLarge: ProviderBusy,
}
MAY_HAVE_BEEN_READ = (NoAnswerInTime, ConnectionCut, AnswerTooLarge)


def provider_transport(
    settings: Settings, deadlines: Deadlines | None = None, *, guard: Guard | None = None
) -> Transport:
    """The transport of a process that calls providers. `deadlines` replace those of the settings."""
    return Transport(
        guard or Guard(settings.custom_endpoint_allow),
        whole=deadlines or _whole(settings),
        streamed=deadlines or _streamed(settings),
        most_bytes=settings.provider_answer_bytes,
        ca_bundle=settings.provider_ca_bundle,
        proxy=settings.provider_proxy,
    )


@contextmanager
def named_failures() -> Iterator[None]:
    """An `OutboundError` that is raised inside leaves as the `ProviderError` that the router knows."""
    try:
        yield
    except OutboundError as error:
        raise _failure(error) from None


def _failure(error: OutboundError) -> ProviderError:
    failure = FAILURES[type(error)](str(error), http_status=error.status)
    failure.possibly_charged = isinstance(error, MAY_HAVE_BEEN_READ)
    return failure


def _whole(settings: Settings) -> Deadlines:
    """The first byte may take as long as the whole: an answer in one piece comes when it is complete."""
    whole = settings.answer_timeout_s
    return Deadlines(settings.connect_timeout_s, whole, settings.between_tokens_timeout_s, whole)


def _streamed(settings: Settings) -> Deadlines:
    return Deadlines(
        settings.connect_timeout_s,
        settings.first_token_timeout_s,
        settings.between_tokens_timeout_s,
        settings.job_timeout_s,
    )
