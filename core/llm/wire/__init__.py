"""Wire formats: what a vendor's HTTP looks like. Each is a package with the same names.

PATH                        where the request goes, below the target's `base_url`
headers(target)             the key, as this format carries it
to_wire(request, target)    the JSON body; raises `ProviderRefused` for what the vendor cannot do
failure_inside(body)        the `ProviderError` that came with a 200, or None
from_wire(body)             (message, finish_reason, usage, raw usage); raises `ProviderBusy` for no answer
usage(raw)                  the tokens that a provider reports, or None
Stream                      `feed(event)` returns deltas; `done`, `complete`; `answer()` is as `from_wire`

Whatever a provider sends, nothing but a `ProviderError` is raised, and what is returned can be stored.
"""

from __future__ import annotations

from types import ModuleType

from core.llm.wire import anthropic, openai

WIRES: dict[str, ModuleType] = {"openai": openai, "anthropic": anthropic}
