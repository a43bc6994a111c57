"""What a pod is to the data path, and how its engine ends: read from its manifest. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_SHUTDOWN_FLAG = "--shutdown-timeout="
_DEFAULT_GRACE_SECONDS = 30.0
_KEEP_ALIVE_VARIABLE = "VLLM_HTTP_TIMEOUT_KEEP_ALIVE"
_DEFAULT_KEEP_ALIVE_SECONDS = 5.0
"""vLLM's, which is uvicorn's (vLLM, pull request 18472)."""


class PodState(StrEnum):
    """What the API server says of a pod."""

    NOT_READY = "NotReady"
    READY = "Ready"
    DRAINING = "Draining"
    """It is being deleted, whatever its readiness."""


def state_of(pod: Mapping[str, Any]) -> PodState:
    if pod["metadata"].get("deletionTimestamp"):
        return PodState.DRAINING
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return PodState.READY if ready else PodState.NOT_READY


def address_of(pod: Mapping[str, Any]) -> str:
    """The pod's address, "" before its container has started."""
    return str((pod.get("status") or {}).get("podIP") or "")


@dataclass(frozen=True, slots=True)
class Ending:
    """From the deletion of a pod: the engine serves on for `pre_stop_seconds`, gets SIGTERM, takes nothing new,
    finishes what it has for at most `drain_seconds`, and is gone."""

    pre_stop_seconds: float
    drain_seconds: float


def ending_of(pod: Mapping[str, Any]) -> Ending:
    """As a kubelet and vLLM end it: the hook's sleep counts against the grace period, and vLLM aborts what it has at
    once unless --shutdown-timeout says otherwise."""
    spec = pod["spec"]
    container = spec["containers"][0]
    hook = ((container.get("lifecycle") or {}).get("preStop") or {}).get("sleep") or {}
    grace = float(spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS))
    pre_stop = min(float(hook.get("seconds", 0)), grace)
    arguments = [argument for argument in container.get("args") or [] if argument.startswith(_SHUTDOWN_FLAG)]
    drain = float(arguments[-1].removeprefix(_SHUTDOWN_FLAG)) if arguments else 0.0
    return Ending(pre_stop_seconds=pre_stop, drain_seconds=min(drain, grace - pre_stop))


def keep_alive_seconds_of(pod: Mapping[str, Any]) -> float:
    """How long the engine keeps an idle connection, as its environment says."""
    variables = {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0].get("env") or []}
    return float(variables.get(_KEEP_ALIVE_VARIABLE, _DEFAULT_KEEP_ALIVE_SECONDS))
