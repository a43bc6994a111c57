"""How a service's requests are split over its pods, and all that follows from it.

What the router sees, which requests it cannot tell apart, whether every pod gets the same share, which mode is better.

A new mode is a member and its row in `_TRAITS`; the optimiser, the check and the explanations ask the properties and
compare no member (a test holds that). The verifier reads the modes in its own way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from medley_planner.model.demand import Bucket


class Sees(Enum):
    """The facts about a request that the data path knows when it routes it."""

    NOTHING = "nothing"
    PROMPT = "prompt"
    BOTH = "both sizes"
    """Prompt and generation. No router knows the latter beforehand, so such a mode is an oracle."""


class RoutingMode(StrEnum):
    """How the data path splits a service's requests over its pods; the plan may only use what the mode can do."""

    SERVICE = "Service"
    """Each ready pod gets the same share, whatever its GPU."""
    HTTP_ROUTE = "HTTPRoute"
    """One weight per variant; each variant sees the same size mix."""
    INFERENCE_POOL = "InferencePool"
    """One share per variant and prompt class: the buckets of equal `prompt_tokens` are routed alike."""
    PER_BUCKET = "PerBucket"
    """An oracle that sees prompt and generation size of each request; for studies and golden cases."""

    @property
    def sees(self) -> Sees:
        return _TRAITS[self].sees

    @property
    def blind(self) -> bool:
        """Whether the router sees nothing of a request, so that each variant gets the same mix of sizes."""
        return self.sees is Sees.NOTHING

    @property
    def oracle(self) -> bool:
        """Whether no router can do this: plans for it say what knowing both sizes would be worth."""
        return self.sees is Sees.BOTH

    @property
    def equal_pods(self) -> bool:
        """Whether each pod gets the same share, so that the slowest in use sets the pace; such a router is blind."""
        return _TRAITS[self].equal_pods

    @property
    def next_better(self) -> RoutingMode | None:
        """The mode that can do all that this one can, and one thing more; None of the best one."""
        return _TRAITS[self].next_better

    @property
    def better(self) -> tuple[RoutingMode, ...]:
        """All better modes, the nearest first."""
        following = self.next_better
        return () if following is None else (following, *following.better)

    def classes(self, buckets: Sequence[Bucket], among: Iterable[int]) -> list[tuple[int, ...]]:
        """The buckets `among` (by index) in classes that the router cannot tell apart, by rising prompt size."""
        indices = sorted(among)
        if self.sees is Sees.BOTH:
            return [(index,) for index in indices]
        if self.sees is Sees.NOTHING:
            return [tuple(indices)] if indices else []
        by_prompt: dict[float, list[int]] = {}
        for index in indices:
            by_prompt.setdefault(buckets[index].prompt_tokens, []).append(index)
        return [tuple(by_prompt[size]) for size in sorted(by_prompt)]

    @classmethod
    def best(cls) -> RoutingMode:
        """The mode that no other is better than."""
        return next(mode for mode in cls if mode.next_better is None)

    @classmethod
    def described(cls) -> str:
        """All modes in words, for a schema."""
        return ", ".join(f"{mode.value} ({_TRAITS[mode].in_words})" for mode in cls)


@dataclass(frozen=True, slots=True)
class _Traits:
    sees: Sees
    equal_pods: bool
    next_better: RoutingMode | None
    in_words: str


_TRAITS = {
    RoutingMode.SERVICE: _Traits(Sees.NOTHING, True, RoutingMode.HTTP_ROUTE, "equal by pod"),
    RoutingMode.HTTP_ROUTE: _Traits(Sees.NOTHING, False, RoutingMode.INFERENCE_POOL, "one weight per variant"),
    RoutingMode.INFERENCE_POOL: _Traits(
        Sees.PROMPT, False, RoutingMode.PER_BUCKET, "one share per variant and prompt length"
    ),
    RoutingMode.PER_BUCKET: _Traits(Sees.BOTH, False, None, "an oracle that sees both sizes"),
}
