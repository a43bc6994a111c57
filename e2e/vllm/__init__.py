"""A real vLLM engine on this machine's CPU: what Medley predicts of an engine is held against one that exists."""
