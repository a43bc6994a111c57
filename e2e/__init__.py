"""End-to-end: a real control plane, a fake vLLM fleet with live traffic, scenarios and the demo."""
