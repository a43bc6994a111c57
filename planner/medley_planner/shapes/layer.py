"""The parts of one layer: a mixer of tokens (attention, state space) and a feed-forward part. Values only.

Kinds of layers differ only in the figures here: which weights they have, what they keep of each token, what they keep
of each sequence, and how much each token attends to. So everything that asks a model (memory, step time, engine rules)
asks these figures and never the kind.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """Linear weights of a layer that checkpoints name together, such as `self_attn.q_proj`.

    `split`: the size that tensor parallelism divides; 0 where each GPU holds the whole. `kept`: never quantized, such
    as routers and convolutions.
    """

    name: str
    parameters: int
    split: int = 0
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Cache:
    """The numbers that a layer keeps of each token: `heads` times `size`, or `size` on each GPU where `heads` is 0.

    `size` may be a fraction where several tokens are kept as one. `window`: tokens of a sequence that are kept at
    most; 0: all. `reads`: of those, how many a step reads at most; 0: all. `element_bytes`: bytes of a number where the
    cache's format does not decide it.
    """

    size: float
    heads: int = 0
    window: int = 0
    reads: int = 0
    element_bytes: float | None = None

    def bytes_per_token(self, tensor_parallel: int, element_bytes: float) -> float:
        """Over all GPUs of a replica. With more GPUs than heads each GPU keeps a copy of one."""
        copies = max(self.heads, tensor_parallel) if self.heads else tensor_parallel
        return copies * self.size * (self.element_bytes or element_bytes)

    @property
    def span(self) -> int:
        """Tokens of a sequence that a step reads at most; 0: all."""
        return min(filter(None, (self.window, self.reads)), default=0)


@dataclass(frozen=True, slots=True)
class Mixer:
    """How a layer mixes tokens.

    `heads` and `kv_heads`: what tensor parallelism must divide (`kv_heads` 0: one cache for all heads). `state_bytes`:
    kept of each sequence whatever its length, over all GPUs. `flops_per_pair`: floating-point operations of one token
    that attends to another one, in prefill; `span`: the tokens that it attends to at most, 0 for all before it.
    """

    parts: tuple[Weights, ...]
    caches: tuple[Cache, ...] = ()
    state_bytes: float = 0.0
    heads: int = 0
    kv_heads: int = 0
    flops_per_pair: float = 0.0
    span: int = 0

    def beside(self, other: Mixer) -> Mixer:
        """Both in one layer, side by side; the heads are those of the first."""
        return Mixer(
            parts=self.parts + other.parts,
            caches=self.caches + other.caches,
            state_bytes=self.state_bytes + other.state_bytes,
            heads=self.heads,
            kv_heads=self.kv_heads,
            flops_per_pair=self.flops_per_pair + other.flops_per_pair,
            span=self.span,
        )


@dataclass(frozen=True, slots=True)
class FeedForward:
    """The feed-forward part of a layer. `parts` are what every token passes: a dense or shared part, the router.

    `experts` of `expert_parameters` each, of which a token uses `experts_per_token`; 0 means none. `expert_split`: the
    inner size of an expert, which tensor parallelism divides.
    """

    parts: tuple[Weights, ...]
    experts: int = 0
    experts_per_token: int = 0
    expert_parameters: int = 0
    expert_split: int = 0
    expert_name: str = "mlp.experts"


@dataclass(frozen=True, slots=True)
class ModelLayer:
    """One layer. Some architectures have layers with only one of the two."""

    mixer: Mixer | None
    feed_forward: FeedForward | None

    @property
    def parts(self) -> tuple[Weights, ...]:
        mixer = self.mixer.parts if self.mixer is not None else ()
        return mixer + (self.feed_forward.parts if self.feed_forward is not None else ())

    @property
    def every_token(self) -> int:
        """Linear parameters that every token passes."""
        return sum(part.parameters for part in self.parts)

    @property
    def in_experts(self) -> int:
        """Parameters of all experts."""
        ff = self.feed_forward
        return ff.experts * ff.expert_parameters if ff is not None else 0


@dataclass(frozen=True, slots=True)
class Layers:
    """`count` layers alike."""

    count: int
    layer: ModelLayer


def grouped(layers: list[ModelLayer]) -> tuple[Layers, ...]:
    """Equal layers together, in the order in which each kind comes first."""
    counts: dict[ModelLayer, int] = {}
    for layer in layers:
        counts[layer] = counts.get(layer, 0) + 1
    return tuple(Layers(count, layer) for layer, count in counts.items())
