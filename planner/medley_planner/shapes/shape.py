"""The sizes of a decoder-only transformer and the counts that follow from them. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_NORMS_PER_LAYER = 2
_BF16_BYTES = 2.0


class Precision(StrEnum):
    """Number format of the linear weights. Embeddings and head stay BF16 (vLLM's default).

    FP4 stands for NVFP4 and MXFP4, INT4 for weight-only 4-bit integers in groups of 32 or 128.
    """

    BF16 = "BF16"
    FP8 = "FP8"
    FP4 = "FP4"
    INT4 = "INT4"

    @property
    def weight_bytes(self) -> float:
        """Bytes of a weight, its share of the group's scale included."""
        return _WEIGHT_BYTES[self]

    @property
    def four_bit(self) -> bool:
        return self in (Precision.FP4, Precision.INT4)


# NVFP4 has an 8-bit scale for each 16 weights, INT4 a 16-bit scale for each 32 (compressed-tensors as Kimi uses it).
_WEIGHT_BYTES = {Precision.BF16: _BF16_BYTES, Precision.FP8: 1.0, Precision.FP4: 0.5625, Precision.INT4: 0.5625}


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """Sizes of multi-head latent attention (DeepSeek-V2): keys and values of all heads are one cached vector.

    `kv_rank` + `rope_size` numbers are cached per token and layer. `query_rank` 0: queries are not compressed.
    """

    kv_rank: int
    query_rank: int
    nope_size: int
    rope_size: int
    value_size: int

    def parameters(self, *, hidden: int, heads: int) -> int:
        """Linear parameters of one layer's attention."""
        query_size = heads * (self.nope_size + self.rope_size)
        query = self.query_rank * (hidden + query_size) if self.query_rank else hidden * query_size
        keys_values = hidden * (self.kv_rank + self.rope_size) + self.kv_rank * heads * (
            self.nope_size + self.value_size
        )
        return query + keys_values + heads * self.value_size * hidden


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A decoder-only transformer with grouped-query attention and dense or mixture-of-experts feed-forward layers.

    `intermediate`: size of a dense feed-forward layer. Mixture of experts: all layers but the first `dense_layers` have
    `experts` of size `expert_intermediate`, of which each token uses `experts_per_token`, and a shared part of size
    `shared_intermediate`; `experts` 0 means dense throughout. `mlp_matrices`: 3 where the feed-forward is gated.
    `latent`: multi-head latent attention instead of `kv_heads` keys and values. `sliding_layers` of the layers attend
    to the last `sliding_window` tokens only. `max_position`: longest sequence in tokens, None where the config does not
    say.
    """

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocab: int
    tied_embeddings: bool = False
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate: int = 0
    shared_intermediate: int = 0
    dense_layers: int = 0
    mlp_matrices: int = 3
    max_position: int | None = None
    latent: LatentAttention | None = None
    sliding_layers: int = 0
    sliding_window: int = 0

    @property
    def moe_layers(self) -> int:
        return self.layers - self.dense_layers if self.experts else 0

    @property
    def expert_parameters(self) -> int:
        """Parameters of one expert in one layer."""
        return self.mlp_matrices * self.hidden * self.expert_intermediate

    def dense_parameters(self) -> int:
        """Linear parameters that every token passes: attention, dense and shared feed-forward, routers."""
        if self.latent is not None:
            attention = self.latent.parameters(hidden=self.hidden, heads=self.heads)
        else:
            attention = self.hidden * self.head_size * (2 * self.heads + 2 * self.kv_heads)
        moe = self.hidden * (self.experts + self.mlp_matrices * self.shared_intermediate)
        dense = self.mlp_matrices * self.hidden * self.intermediate
        return self.layers * attention + self.moe_layers * moe + (self.layers - self.moe_layers) * dense

    def linear_parameters(self) -> int:
        """Linear parameters of all layers, every expert counted."""
        return self.dense_parameters() + self.moe_layers * self.experts * self.expert_parameters

    def embedding_parameters(self) -> int:
        """Token embedding and, where it is not the same matrix, the language-model head."""
        return self.vocab * self.hidden * (1 if self.tied_embeddings else 2)

    def parameters(self) -> int:
        """All parameters; biases, which are below 0.1 %, are left out."""
        return self.linear_parameters() + self.embedding_parameters() + self._norm_parameters()

    def active_parameters(self) -> int:
        """Parameters that one token uses: of the experts only `experts_per_token`."""
        unused = self.moe_layers * (self.experts - self.experts_per_token) * self.expert_parameters
        return self.parameters() - unused

    def dense_weight_bytes(self, precision: Precision) -> float:
        """Bytes of a weight outside the experts: 4-bit checkpoints of mixtures quantise the experts only."""
        return _BF16_BYTES if self.experts and precision.four_bit else precision.weight_bytes

    def weight_bytes(self, precision: Precision) -> float:
        """Bytes of all weights; only the linear ones are quantised."""
        kept = self.embedding_parameters() + self._norm_parameters()
        experts = self.linear_parameters() - self.dense_parameters()
        dense = self.dense_parameters() * self.dense_weight_bytes(precision)
        return dense + experts * precision.weight_bytes + kept * _BF16_BYTES

    def kv_bytes_per_token(self, tensor_parallel: int = 1, *, element_bytes: float = _BF16_BYTES) -> float:
        """Bytes that one token takes in the KV cache, over all GPUs of a replica.

        With more GPUs than KV heads each GPU keeps a copy of a head; a latent vector is whole on each GPU.
        Sliding-window layers count as any other.
        """
        if self.latent is not None:
            return self.layers * tensor_parallel * (self.latent.kv_rank + self.latent.rope_size) * element_bytes
        return 2.0 * self.layers * max(self.kv_heads, tensor_parallel) * self.head_size * element_bytes

    def attention_flops_per_pair(self) -> float:
        """Floating-point operations of all layers for one token that attends to another one, in prefill."""
        if self.latent is not None:
            sizes = self.latent.nope_size + self.latent.rope_size + self.latent.value_size
            return 2.0 * self.layers * self.heads * sizes
        return 4.0 * self.layers * self.heads * self.head_size

    def _norm_parameters(self) -> int:
        return self.hidden * (_NORMS_PER_LAYER * self.layers + 1)
