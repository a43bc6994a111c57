"""Checks that an LLMService must pass before it is planned: its spec, what it refers to, whether its targets can be
met."""
