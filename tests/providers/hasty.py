"""A transport that soon has enough of one provider, and waits for all others however busy the machine is."""

from __future__ import annotations

from typing import Any

from core.config import Settings
from core.llm.transport import provider_transport
from core.outbound.transport import Deadlines
from tests.waiting import LONG_S

PATIENT = Deadlines(connect=LONG_S, first_byte=LONG_S, between=LONG_S, total=LONG_S)
NO_ANSWER = Deadlines(connect=LONG_S, first_byte=0.1, between=0.1, total=0.3)
"""For one that is not heard in time, whenever that is."""
NO_END = Deadlines(connect=LONG_S, first_byte=LONG_S, between=0.4, total=3)
"""For one whose first words are to be heard."""


class Hasty:
    """`deadlines` hold for what is asked of the provider at `self.url`."""

    def __init__(self, settings: Settings, deadlines: Deadlines) -> None:
        self.url = ""
        self.most_bytes = settings.provider_answer_bytes
        self._hasty = provider_transport(settings, deadlines)
        self._patient = provider_transport(settings, PATIENT)

    def post(self, url: str, *arguments: Any, **more: Any) -> Any:
        transport = self._hasty if self.url and url.startswith(self.url) else self._patient
        return transport.post(url, *arguments, **more)

    def close(self) -> None:
        self._hasty.close()
        self._patient.close()
