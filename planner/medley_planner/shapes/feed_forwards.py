"""Dense and mixture feed-forward parts as functions from their sizes to their figures. Pure.

Apart: every family builds on it, as on the mixers.
"""

from __future__ import annotations

from medley_planner.shapes.layer import FeedForward, Weights

_GATED = ("gate_proj", "up_proj", "down_proj")
_PLAIN = ("up_proj", "down_proj")


def dense_parts(*, hidden: int, size: int, matrices: int = 3, name: str = "mlp") -> tuple[Weights, ...]:
    """`matrices`: 3 where it is gated, else 2."""
    names = _GATED if matrices == len(_GATED) else _PLAIN
    return tuple(Weights(f"{name}.{each}", hidden * size, size) for each in names)


def dense(*, hidden: int, size: int, matrices: int = 3, name: str = "mlp") -> FeedForward:
    return FeedForward(dense_parts(hidden=hidden, size=size, matrices=matrices, name=name))


def mixture(
    *,
    hidden: int,
    experts: int,
    per_token: int,
    size: int,
    shared: int = 0,
    matrices: int = 3,
    latent: int = 0,
    shared_gate: bool = False,
    name: str = "mlp",
    expert_name: str = "experts",
    shared_name: str = "shared_experts",
) -> FeedForward:
    """`experts` of inner size `size`, of which a token uses `per_token`, and a shared part of inner size `shared`.

    `latent`: the size that tokens are projected to for the experts and back from (Nemotron 3, Kimi K3); 0: none.
    """
    parts: list[Weights] = [Weights(f"{name}.gate", hidden * experts, kept=True)]
    if shared:
        parts += dense_parts(hidden=hidden, size=shared, matrices=matrices, name=f"{name}.{shared_name}")
    if shared_gate:
        parts.append(Weights(f"{name}.shared_expert_gate", hidden, kept=True))
    if latent:
        parts += [
            Weights(f"{name}.fc1_latent_proj", hidden * latent),
            Weights(f"{name}.fc2_latent_proj", hidden * latent),
        ]
    return FeedForward(
        parts=tuple(parts),
        experts=experts,
        experts_per_token=per_token,
        expert_parameters=matrices * (latent or hidden) * size,
        expert_split=size,
        expert_name=f"{name}.{expert_name}",
    )
