"""The prompt lengths that a plan sends to each variant, as labels of pods that llm-d's endpoint picker reads.

A plan for a router that sees prompts gives each variant a share of each class of prompts. The picker knows one range
for a pod, and prefers pods whose range holds the prompt. So a variant's range goes from the shortest to the longest
prompt that the plan sends there, and within a class the picker goes by load. The ranges of all variants together leave
no length out. Labels are patched onto pods (docs/adr/0012). Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from medley_operator.domain.cluster.children import variant_of
from medley_operator.domain.values import labels
from medley_operator.domain.values.decision import PodNote
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.domain.values.views import PodView
from medley_planner.model import Demand, ServicePlan

LONGEST_TOKENS = 1_048_576
"""The end of the longest range where nothing says how long a prompt can be."""
AGAIN_SECONDS = 60.0
"""A pod that does not show the label that it was given is given it again after this time."""

_RANGE = re.compile(r"[0-9]{1,10}-[0-9]{1,10}")

Asked = Mapping[str, tuple[str, float]]
"""The range that a pod was given, and when, by uid."""


def prompt_ranges(plan: ServicePlan, demand: Demand, *, longest_tokens: int | None) -> dict[str, str]:
    """Ranges such as "0-2048" of the variants that the plan has replicas of.

    Both ends belong to a range. Neighbouring classes meet halfway between their prompt sizes, by ratio. A variant that
    gets no requests by the plan may take any.
    """
    getting = {
        bucket
        for bucket, share in enumerate(demand.shares)
        if share > 0 and any(part.bucket_shares[bucket] > 0 for part in plan.variants)
    }
    classes = plan.routing.classes(demand.buckets, getting)
    ends = _ends([demand.buckets[inside[0]].prompt_tokens for inside in classes], longest_tokens or LONGEST_TOKENS)
    found: dict[str, str] = {}
    for part in plan.variants:
        if part.replicas < 1:
            continue
        used = [at for at, inside in enumerate(classes) if any(part.bucket_shares[bucket] > 0 for bucket in inside)]
        first, last = (used[0], used[-1]) if used else (0, len(ends) - 1)
        found[part.variant] = f"{ends[first - 1] + 1 if first > 0 else 0}-{ends[last]}"
    return found


def _ends(prompts: Sequence[float], longest_tokens: int) -> list[int]:
    """The last token count of each class, in their order."""
    between = [round(math.sqrt(low * high)) for low, high in pairwise(prompts)]
    return [*between, max(longest_tokens, *(end + 1 for end in between), 1)]


def is_range(text: str) -> bool:
    """Whether it is a range as this module writes them: statuses can be edited."""
    return _RANGE.fullmatch(text) is not None


def range_note(key: ObjectKey, uid: str, text: str) -> PodNote:
    """The label of a pod that takes prompts of this range."""
    return PodNote(key, uid, {}, f"it takes prompts of {text} tokens", {labels.PROMPT_RANGE: text})


def due_ranges(
    pods: Iterable[PodView], ranges: Mapping[str, str], *, asked: Asked, at_seconds: float
) -> tuple[tuple[PodNote, ...], dict[str, tuple[str, float]]]:
    """The pods of one service that need another label now, and what was asked of which pod, to be remembered.

    `ranges` by variant; pods of a variant without one keep what they have.
    """
    wanted = {variant_of(name): text for name, text in ranges.items()}
    due: list[PodNote] = []
    kept: dict[str, tuple[str, float]] = {}
    for pod in pods:
        text = wanted.get(pod.labels.get(labels.VARIANT, ""))
        if text is None or pod.terminating or pod.ended or pod.labels.get(labels.PROMPT_RANGE) == text:
            continue
        before = asked.get(pod.uid)
        if before is not None and before[0] == text and at_seconds - before[1] < AGAIN_SECONDS:
            kept[pod.uid] = before
            continue
        kept[pod.uid] = (text, at_seconds)
        due.append(range_note(ObjectKey(labels.POD, pod.namespace, pod.name), pod.uid, text))
    return tuple(due), kept
