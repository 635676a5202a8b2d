"""How a wire says the parameters of a chat that it does not take as they are: see `core.llm.parameters`."""
