"""The words that explanations share."""

from __future__ import annotations

from collections.abc import Sequence

from medley_planner.model import Bucket, UnservedReason
from medley_planner.optimize.answer.explain import describe_bucket

NO_TIME = "not determined within the time limit"
_NAMED_AT_MOST = 2

_REASONS = {
    UnservedReason.NO_VARIANT_MEETS_TARGET: "it does not meet the targets",
    UnservedReason.STOCK: "its pool holds too few GPUs",
    UnservedReason.NODES: "the nodes of its pool hold too few such replicas",
    UnservedReason.POWER: "the power budget is too small",
    UnservedReason.BUDGET: "the service's budget is too small",
    UnservedReason.SPOT_SHARE: "the limits on spot GPUs do not allow it",
    UnservedReason.ZONE_SPREAD: "its pool is in one zone, but the service needs two",
    UnservedReason.QUOTA: "the quota is too small",
    UnservedReason.MAX_REPLICAS: "it takes more replicas than the maximum",
}


def reason_words(reason: UnservedReason) -> str:
    """Why one variant alone cannot do it."""
    return _REASONS[reason]


def name_buckets(buckets: Sequence[Bucket], chosen: Sequence[int]) -> str:
    """The first few of the chosen buckets by their sizes, and how many more there are."""
    names = [describe_bucket(buckets[bucket], bucket) for bucket in chosen[:_NAMED_AT_MOST]]
    more = len(chosen) - len(names)
    return "requests of " + "; ".join(names) + (f" and {more} more size{'s' * (more > 1)}" if more else "")
