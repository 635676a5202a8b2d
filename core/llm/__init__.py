"""The LLM router: from an agent's plan to a provider's answer, with retries and fallback."""
