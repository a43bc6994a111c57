"""The variants of a service: what its spec requests, which fit, which are planned with."""
