"""For each wire: how it says those parameters that it does not take as they are (`core.llm.parameters`)."""
