"""JSON schemas of tools, as every server takes them. Pure."""

from __future__ import annotations

from core.llm.plain import mapping
from core.llm.types import ChatRequest, Document, Target


def tools(value: list[Document], request: ChatRequest, target: Target) -> Document:
    """As they were given, but for the type of their parameters."""
    return {"tools": [_tool(tool) for tool in value]}


def of_object(schema: Document) -> Document:
    """Parameters are an object's; strict servers refuse a schema that leaves its type out, or null."""
    typed = schema.get("type") is not None or "$ref" in schema
    return schema if typed else {**schema, "type": "object"}


def _tool(tool: Document) -> Document:
    function = mapping(tool.get("function"))
    if not isinstance(function.get("parameters"), dict):
        return tool
    return {**tool, "function": {**function, "parameters": of_object(function["parameters"])}}
