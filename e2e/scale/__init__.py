"""The scale suite: the operator beside a thousand nodes and hundreds of services, measured (docs/scale.md)."""
