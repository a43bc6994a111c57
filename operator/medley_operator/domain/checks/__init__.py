"""What an LLMService must satisfy before it is planned: its spec, what it refers to, whether its targets can be met."""
