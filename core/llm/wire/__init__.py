"""Wire formats: what a vendor's HTTP looks like. Each is a module with the same names."""

from __future__ import annotations

from types import ModuleType

from core.llm.wire import openai

WIRES: dict[str, ModuleType] = {"openai": openai}
