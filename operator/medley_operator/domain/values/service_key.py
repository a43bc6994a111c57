"""The identity of an LLMService within the cluster."""

from __future__ import annotations

from typing import NamedTuple

from medley_operator.api.v1alpha1 import LLMService


class ServiceKey(NamedTuple):
    """Namespace and name of an LLMService; equal to, and as good a key as, the plain pair."""

    namespace: str
    name: str

    @classmethod
    def of(cls, service: LLMService) -> ServiceKey:
        return cls(service.metadata.namespace, service.metadata.name)

    @property
    def problem_name(self) -> str:
        """Name of the service in the planner's problem, and in logs."""
        return f"{self.namespace}/{self.name}"
