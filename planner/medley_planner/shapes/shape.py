"""The sizes of a decoder and the counts that follow from them. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from medley_planner.shapes.checkpoint import Checkpoint
from medley_planner.shapes.layer import Cache, FeedForward, Layers
from medley_planner.shapes.precision import BF16_BYTES, Precision

_NORMS_PER_LAYER = 2


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A decoder: its layers by kind, and what is around them.

    `max_position`: longest sequence in tokens, None where the config does not say. `more_parameters`: what is in the
    memory of the GPU beside layers, embeddings and norms, such as a vision tower; never quantized. `draft_parameters`:
    multi-token prediction layers, which the checkpoint has and an engine loads for speculative decoding only.
    `checkpoint`: the format of a quantized checkpoint, None where its weights are BF16. `stated_weight_bytes`: of all
    weights in the checkpoint's own format, where its files say it; None: they are counted.
    """

    name: str
    hidden: int
    vocab: int
    kinds: tuple[Layers, ...]
    tied_embeddings: bool = False
    max_position: int | None = None
    more_parameters: int = 0
    draft_parameters: int = 0
    checkpoint: Checkpoint | None = None
    stated_weight_bytes: int | None = None

    def __hash__(self) -> int:
        """Hash of the fields that tell most shapes apart: the layers take ten times as long, and rounds hash
        thousands."""
        return hash((self.name, self.hidden, self.vocab, self.max_position))

    @property
    def layers(self) -> int:
        """Layers as most architectures count them: a mixer and a feed-forward part are one."""
        mixers = sum(kind.count for kind in self.kinds if kind.layer.mixer is not None)
        return max(mixers, sum(kind.count for kind in self.kinds if kind.layer.feed_forward is not None))

    @property
    def heads(self) -> int:
        """Heads of queries of the first layer that has some."""
        return next((k.layer.mixer.heads for k in self.kinds if k.layer.mixer and k.layer.mixer.heads), 1)

    @property
    def splits(self) -> tuple[tuple[int, int], ...]:
        """Heads and KV heads (0: no limit) of each kind of mixer, which tensor parallelism must divide."""
        mixers = [kind.layer.mixer for kind in self.kinds]
        return tuple(dict.fromkeys((mixer.heads, mixer.kv_heads) for mixer in mixers if mixer and mixer.heads))

    @property
    def mixture(self) -> FeedForward | None:
        """The feed-forward part of the layers that have experts: models have one kind of them."""
        found = (kind.layer.feed_forward for kind in self.kinds)
        return next((part for part in found if part is not None and part.experts), None)

    @property
    def experts(self) -> int:
        return self.mixture.experts if self.mixture else 0

    @property
    def experts_per_token(self) -> int:
        return self.mixture.experts_per_token if self.mixture else 0

    @property
    def expert_parameters(self) -> int:
        """Parameters of one expert in one layer."""
        return self.mixture.expert_parameters if self.mixture else 0

    @property
    def moe_layers(self) -> int:
        return sum(k.count for k in self.kinds if k.layer.feed_forward and k.layer.feed_forward.experts)

    def dense_parameters(self) -> int:
        """Linear parameters that every token passes: mixers, dense and shared feed-forward, routers."""
        return sum(kind.count * kind.layer.every_token for kind in self.kinds)

    def linear_parameters(self) -> int:
        """Linear parameters of all layers, every expert counted."""
        return self.dense_parameters() + sum(kind.count * kind.layer.in_experts for kind in self.kinds)

    def embedding_parameters(self) -> int:
        """Token embedding and, where it is not the same matrix, the language-model head."""
        return self.vocab * self.hidden * (1 if self.tied_embeddings else 2)

    def parameters(self) -> int:
        """All parameters that an engine loads; biases, which are below 0.1 %, are left out."""
        return self.linear_parameters() + self.embedding_parameters() + self._norm_parameters() + self.more_parameters

    def active_parameters(self) -> int:
        """Parameters that one token uses: of the experts only `experts_per_token`."""
        unused = self.moe_layers * (self.experts - self.experts_per_token) * self.expert_parameters
        return self.parameters() - unused - self.more_parameters

    @property
    def precision(self) -> Precision:
        """The format of the checkpoint's own weights."""
        return self.checkpoint.precision if self.checkpoint is not None else Precision.BF16

    def dense_precision(self, precision: Precision) -> Precision:
        """The format of the weights outside the experts in a model that is called `precision`: 4-bit checkpoints of
        mixtures quantise the experts only, unless the checkpoint says otherwise."""
        if self.checkpoint is not None and precision is self.checkpoint.precision:
            return self.checkpoint.dense_precision
        return Precision.BF16 if self.experts and precision.four_bit else precision

    def dense_weight_bytes(self, precision: Precision) -> float:
        """Bytes of a weight outside the experts, in the mean."""
        if self.checkpoint is not None and precision is self.checkpoint.precision:
            return self.checkpoint.dense_bytes
        return self.dense_precision(precision).weight_bytes

    def expert_weight_bytes(self, precision: Precision) -> float:
        """Bytes of a weight of an expert, in the mean."""
        if self.checkpoint is not None and precision is self.checkpoint.precision:
            return self.checkpoint.expert_bytes
        return precision.weight_bytes

    def weight_bytes(self, precision: Precision) -> float:
        """Bytes of all weights; only the linear ones are quantised."""
        if self.stated_weight_bytes is not None and precision is self.precision:
            return float(self.stated_weight_bytes)
        return self.counted_weight_bytes(precision)

    def counted_weight_bytes(self, precision: Precision) -> float:
        """The same by the layers' sizes alone, whatever the files say."""
        kept = self.embedding_parameters() + self._norm_parameters() + self.more_parameters
        experts = self.linear_parameters() - self.dense_parameters()
        dense = self.dense_parameters() * self.dense_weight_bytes(precision)
        return dense + experts * self.expert_weight_bytes(precision) + kept * BF16_BYTES

    def kv_bytes_per_token(self, tensor_parallel: int = 1, *, element_bytes: float = BF16_BYTES) -> float:
        """Bytes that each token takes in the KV cache for as long as its sequence lives, over all GPUs of a replica.

        Layers with a window count in `sequence_bytes` alone.
        """
        return self._bytes_per_token(tensor_parallel, element_bytes, window=0)

    def windows(self) -> tuple[int, ...]:
        """The windows of the layers that keep only the last tokens, each once, ascending."""
        return tuple(sorted({cache.window for _, cache in self._caches() if cache.window}))

    def window_bytes_per_token(
        self, window: int, tensor_parallel: int = 1, *, element_bytes: float = BF16_BYTES
    ) -> float:
        """Bytes that a token takes in the layers of that window, over all GPUs of a replica, while it is in it."""
        return self._bytes_per_token(tensor_parallel, element_bytes, window=window)

    def state_bytes_per_sequence(self) -> float:
        """Bytes that linear and state-space layers keep of a sequence of any length, over all GPUs of a replica."""
        return sum(kind.count * kind.layer.mixer.state_bytes for kind in self.kinds if kind.layer.mixer)

    def sequence_bytes(
        self, tokens: int, tensor_parallel: int = 1, *, element_bytes: float = BF16_BYTES, chunk: int = 0
    ) -> float:
        """Bytes that one sequence of `tokens` keeps, over all GPUs: the sum of all layers, with windows cut.

        `chunk`: prompt tokens of one step, which layers with a window hold beside it while the prompt is computed.
        """
        total = self.kv_bytes_per_token(tensor_parallel, element_bytes=element_bytes) * tokens
        for window in self.windows():
            each = self.window_bytes_per_token(window, tensor_parallel, element_bytes=element_bytes)
            total += each * min(tokens, window + chunk)
        return total + self.state_bytes_per_sequence()

    def read_bytes(
        self, tensor_parallel: int = 1, *, element_bytes: float = BF16_BYTES
    ) -> tuple[tuple[int, float], ...]:
        """The bytes that a decode step reads, as (span, bytes per token), ascending; a span of 0 reads all tokens."""
        spans: dict[int, float] = {}
        for count, cache in self._caches():
            each = count * cache.bytes_per_token(tensor_parallel, element_bytes)
            spans[cache.span] = spans.get(cache.span, 0.0) + each
        return tuple(sorted(spans.items()))

    def attention_flops(self) -> tuple[tuple[int, float], ...]:
        """Floating-point operations of all layers for one token that attends to another one, in prefill, as (span,
        operations): a token attends to at most `span` before it, 0 for all."""
        spans: dict[int, float] = {}
        for kind in self.kinds:
            mixer = kind.layer.mixer
            if mixer is not None and mixer.flops_per_pair:
                spans[mixer.span] = spans.get(mixer.span, 0.0) + kind.count * mixer.flops_per_pair
        return tuple(sorted(spans.items()))

    def _caches(self) -> list[tuple[int, Cache]]:
        return [(kind.count, cache) for kind in self.kinds if kind.layer.mixer for cache in kind.layer.mixer.caches]

    def _bytes_per_token(self, tensor_parallel: int, element_bytes: float, *, window: int) -> float:
        kept = (
            count * cache.bytes_per_token(tensor_parallel, element_bytes)
            for count, cache in self._caches()
            if cache.window == window
        )
        return float(sum(kept))

    def _norm_parameters(self) -> int:
        return self.hidden * (_NORMS_PER_LAYER * self.layers + 1)
