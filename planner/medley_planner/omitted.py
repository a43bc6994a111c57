"""Why a variant is not in a plan, whoever left it out: generation, pruning, the optimiser, the caller. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OmittedReason(StrEnum):
    """The stable words of `Omitted.reason`."""

    POOL_NOT_USABLE = "PoolNotUsable"
    """The pool's GPU or price is not known."""
    SAME_NAME = "SameName"
    """Another variant has its name."""
    DOES_NOT_FIT = "DoesNotFit"
    """The model does not fit the memory or the GPUs of one node."""
    PRECISION_NOT_SUPPORTED = "PrecisionNotSupported"
    """The GPU has no arithmetic for the precision that is asked for."""
    TOKEN_BUDGET_NOT_OFFERED = "TokenBudgetNotOffered"  # noqa: S105 - tokens of text
    """The engine is not offered with the token budget that is asked for."""
    CANNOT_SERVE = "CannotServe"
    """It serves no size of the load within the targets."""
    CANNOT_SERVE_ALL = "CannotServeAll"
    """It does not serve each size of the load, and the router does not see sizes."""
    DOMINATED = "Dominated"
    """Another variant of its pool does at least as much from no more GPUs, money and watts."""
    TOO_MANY = "TooMany"
    """There are more variants than can be routed to: it is among those that look dearest for this load."""
    MAX_REPLICAS_ZERO = "MaxReplicasZero"
    """Its maximum of replicas, or its service's, is 0."""
    OUT_OF_STOCK = "OutOfStock"
    """What the plan leaves of its pool does not hold a replica."""
    OUT_OF_POWER = "OutOfPower"
    """What the plan leaves of a power budget does not feed a replica."""
    NODE_TOO_SMALL = "NodeTooSmall"
    """No node of its pool has the GPUs of one replica."""
    NO_DEMAND = "NoDemand"
    """There is nothing to serve."""
    DEARER = "Dearer"
    """What it serves costs more on it."""
    NO_GAIN = "NoGain"
    """No plan with a replica of it costs less."""


@dataclass(frozen=True, slots=True)
class Omitted:
    """A variant that a plan does not use or that was not planned with. `message` is a sentence with the figures.

    `variant` is the pool's name where the whole pool is meant.
    """

    variant: str
    pool: str
    reason: OmittedReason
    message: str
