"""Statuses of variants whose replicas cannot start, as the operator writes them.

Apart: `status` would be too long with it.
"""

from __future__ import annotations

from pydantic import Field

from medley_operator.api.v1alpha1.base import ObservedModel


class StartFailureStatus(ObservedModel):
    """A variant whose replicas cannot start, and until when plans ask for no more of them."""

    variant: str
    pool: str
    reason: str = Field(description="Reason as the cluster words it, such as Unschedulable or ImagePullBackOff.")
    message: str = ""
    pod: str = Field("", description="One of the pods that cannot start.")
    replicas: int = Field(0, description="Replicas that could not start.")
    since: str = Field("", description="Time since when it cannot start.")
    until: str = Field("", description="Time from which plans may ask for more replicas again.")
    attempts: int = Field(1, description="Number of times in a row that it could not start; each doubles the wait.")
