"""Pricing of services whose router sees request sizes (InferencePool, PerBucket), by classes of requests."""
