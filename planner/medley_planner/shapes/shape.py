"""The sizes of a decoder-only transformer and the counts that follow from them. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_NORMS_PER_LAYER = 2
_BF16_BYTES = 2.0


class Precision(StrEnum):
    """Number format of the linear weights. Embeddings, head and KV cache stay BF16 (vLLM's default)."""

    BF16 = "BF16"
    FP8 = "FP8"

    @property
    def weight_bytes(self) -> float:
        return 1.0 if self is Precision.FP8 else _BF16_BYTES


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A decoder-only transformer with grouped-query attention and dense or mixture-of-experts feed-forward layers.

    `intermediate`: size of a dense feed-forward layer. Mixture of experts: all layers but the first `dense_layers` have
    `experts` of size `expert_intermediate`, of which each token uses `experts_per_token`, and a shared part of size
    `shared_intermediate`; `experts` 0 means dense throughout. `mlp_matrices`: 3 where the feed-forward is gated.
    `max_position`: longest sequence in tokens, None where the config does not say.
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

    @property
    def moe_layers(self) -> int:
        return self.layers - self.dense_layers if self.experts else 0

    @property
    def expert_parameters(self) -> int:
        """Parameters of one expert in one layer."""
        return self.mlp_matrices * self.hidden * self.expert_intermediate

    def dense_parameters(self) -> int:
        """Linear parameters that every token passes: attention, dense and shared feed-forward, routers."""
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

    def weight_bytes(self, precision: Precision) -> float:
        """Bytes of all weights; only the linear ones are quantised."""
        kept = self.embedding_parameters() + self._norm_parameters()
        return self.linear_parameters() * precision.weight_bytes + kept * _BF16_BYTES

    def kv_bytes_per_token(self, tensor_parallel: int = 1) -> float:
        """Bytes that one token takes in the KV cache, over all GPUs of a replica.

        With more GPUs than KV heads each GPU keeps a copy of a head.
        """
        return 2.0 * self.layers * max(self.kv_heads, tensor_parallel) * self.head_size * _BF16_BYTES

    def _norm_parameters(self) -> int:
        return self.hidden * (_NORMS_PER_LAYER * self.layers + 1)
