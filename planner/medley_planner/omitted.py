"""Why a variant is not in a plan, whoever left it out: generation, pruning, the optimiser, the caller. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class OmittedReason(StrEnum):
    """The stable words of `Omitted.reason`."""

    POOL_NOT_USABLE = "PoolNotUsable"
    """The pool's GPU or price is not known."""
    SAME_NAME = "SameName"
    """Another variant has its name."""
    DOES_NOT_FIT = "DoesNotFit"
    """The model does not fit the memory or the GPUs of one node."""
    PRECISION_NOT_SUPPORTED = "PrecisionNotSupported"
    """The GPU does not support the requested precision."""
    TOKEN_BUDGET_NOT_OFFERED = "TokenBudgetNotOffered"  # noqa: S105 - tokens of text
    """The RuntimeProfile does not offer the requested token budget."""
    KV_FORMAT_NOT_OFFERED = "KvFormatNotOffered"
    """The engine does not run with the requested KV cache format."""
    CANNOT_SERVE = "CannotServe"
    """It serves no size of the load within the targets."""
    CANNOT_SERVE_ALL = "CannotServeAll"
    """It does not serve each size of the load, and the router does not see sizes."""
    DOMINATED = "Dominated"
    """Another variant of its pool does at least as much from no more GPUs, money and watts."""
    TOO_MANY = "TooMany"
    """There are more variants than can be routed to: it is among those that look most expensive for this load."""
    MAX_REPLICAS_ZERO = "MaxReplicasZero"
    """Its maximum of replicas, or its service's, is 0."""
    OUT_OF_STOCK = "OutOfStock"
    """The rest of its pool does not have room for a replica."""
    OUT_OF_POWER = "OutOfPower"
    """The rest of a power budget does not feed a replica."""
    OUT_OF_QUOTA = "OutOfQuota"
    """The rest of its quota does not allow a replica."""
    NODE_TOO_SMALL = "NodeTooSmall"
    """No node of its pool has the GPUs of one replica."""
    NO_DEMAND = "NoDemand"
    """There is nothing to serve."""
    OVER_BUDGET = "OverBudget"
    """Demand is left out, and what the plan leaves of the service's budget does not pay a replica."""
    DEARER = "Dearer"
    """The same requests cost more on it, fractions of a replica counted."""
    TOO_LARGE = "TooLarge"
    """The same requests cost no more on it, fractions of a replica counted, but whole replicas do at this load."""
    NO_GAIN = "NoGain"
    """No plan with a replica of it costs less."""

    def counted(self, count: int) -> str:
        """So many variants in a list of them: "3 too large"."""
        one, more = _COUNTED[self]
        return f"{count} {one if count == 1 else more}"


_COUNTED: Mapping[OmittedReason, tuple[str, str]] = MappingProxyType(
    {
        OmittedReason.POOL_NOT_USABLE: ("in a pool that cannot be used", "in pools that cannot be used"),
        OmittedReason.SAME_NAME: ("with the name of another", "with the names of others"),
        OmittedReason.DOES_NOT_FIT: ("does not fit", "do not fit"),
        OmittedReason.PRECISION_NOT_SUPPORTED: ("lacks the precision", "lack the precision"),
        OmittedReason.TOKEN_BUDGET_NOT_OFFERED: ("lacks the token budget", "lack the token budget"),
        OmittedReason.KV_FORMAT_NOT_OFFERED: ("lacks the KV cache format", "lack the KV cache format"),
        OmittedReason.CANNOT_SERVE: ("misses the targets", "miss the targets"),
        OmittedReason.CANNOT_SERVE_ALL: ("misses the targets for some sizes", "miss the targets for some sizes"),
        OmittedReason.DOMINATED: ("dominated", "dominated"),
        OmittedReason.TOO_MANY: ("beyond what a route holds", "beyond what a route holds"),
        OmittedReason.MAX_REPLICAS_ZERO: ("with maxReplicas 0", "with maxReplicas 0"),
        OmittedReason.OUT_OF_STOCK: ("out of stock", "out of stock"),
        OmittedReason.OUT_OF_POWER: ("out of power", "out of power"),
        OmittedReason.OUT_OF_QUOTA: ("out of quota", "out of quota"),
        OmittedReason.NODE_TOO_SMALL: ("larger than a node", "larger than a node"),
        OmittedReason.NO_DEMAND: ("without demand", "without demand"),
        OmittedReason.OVER_BUDGET: ("over the budget", "over the budget"),
        OmittedReason.DEARER: ("dearer", "dearer"),
        OmittedReason.TOO_LARGE: ("too large", "too large"),
        OmittedReason.NO_GAIN: ("without gain", "without gain"),
    }
)


@dataclass(frozen=True, slots=True)
class Omitted:
    """A variant that a plan does not use or that was not planned with. `message` is a sentence with the figures.

    `variant` is the pool's name where the whole pool is meant.
    """

    variant: str
    pool: str
    reason: OmittedReason
    message: str
