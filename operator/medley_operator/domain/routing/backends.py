"""From weights of variants to backends of a route, which may have sixteen: more share one, and none is left out.

The shared backend is the common Service, which gives each Ready pod of the service an equal share. The variants that
share it are those of the least weight for a Ready pod; all others have a backend of their own, less what they get by
the shared one. So they get exactly their share, which no other choice allows, and those that share a backend get theirs
on average. It happens where old layouts drain beside many variants. Pure.

Apart: the arithmetic of a limit, which the route's text and its conditions do not need.
"""

from __future__ import annotations

from collections.abc import Mapping

MOST_BACKENDS = 16
"""The Gateway API's limit for one rule."""
FINE_TOTAL = 1_000_000
"""The sum of weights where some variants share a backend: what is taken off must not be lost in rounding."""


def backend_weights(
    weights: Mapping[str, int], *, names: Mapping[str, str], ready: Mapping[str, int], common: str
) -> dict[str, int]:
    """Weights by Service, of which there are at most sixteen.

    `weights` by variant; `names`: the variants' Services, `ready`: Ready replicas of all variants, those without weight
    included; `common`: the Service of all pods, "" where the route may not name it.
    """
    plain = {names[variant]: weight for variant, weight in weights.items() if variant in names}
    if len(plain) <= MOST_BACKENDS:
        return plain
    used = {variant: weight for variant, weight in weights.items() if variant in names and weight > 0}
    if len(used) <= MOST_BACKENDS or not common or not all(ready.get(variant, 0) > 0 for variant in used):
        # Without weight nothing is lost, and before anything is Ready nothing serves.
        largest = sorted(plain, key=lambda name: (-plain[name], name))[:MOST_BACKENDS]
        return {name: plain[name] for name in largest}
    by_pod = sorted(used, key=lambda variant: (used[variant] / ready[variant], variant))
    sharing, own = by_pod[: len(used) - MOST_BACKENDS + 1], by_pod[len(used) - MOST_BACKENDS + 1 :]
    for_a_pod = sum(used[variant] for variant in sharing) / sum(ready[variant] for variant in sharing)
    exact = {names[variant]: used[variant] - for_a_pod * ready[variant] for variant in own}
    exact[common] = for_a_pod * sum(ready.values())
    total = sum(exact.values())
    return {name: round(FINE_TOTAL * weight / total) for name, weight in exact.items()}
