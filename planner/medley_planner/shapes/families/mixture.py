"""Mixtures of experts with grouped-query attention: Mixtral, Qwen-MoE, GLM, Granite, ERNIE, Hunyuan, MiniMax M2 and M3,
MiMo-V2."""

from __future__ import annotations

from medley_planner.shapes.families.dense import uniform_mixers
from medley_planner.shapes.families.row import Architecture, gated_dense, moe_flags, plain_attention, stack
from medley_planner.shapes.feed_forwards import mixture
from medley_planner.shapes.layer import FeedForward, ModelLayer
from medley_planner.shapes.reader import Reader
from medley_planner.shapes.towers import tower

_MODELLING = "keys and formulas: transformers 5.24, modelling code of"
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")


def routed(
    reader: Reader, *, shared: int = 0, size: int | None = None, latent: int = 0, name: str = "mlp"
) -> FeedForward:
    """The experts by the usual keys."""
    experts = reader.size(*EXPERTS)
    return mixture(
        hidden=reader.hidden,
        experts=experts,
        per_token=reader.size(
            "num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_k", "moe_topk", most=experts
        ),
        size=size if size is not None else reader.size("moe_intermediate_size", "intermediate_size"),
        shared=shared,
        latent=latent,
        name=name,
    )


def shared_size(reader: Reader) -> int:
    """The shared experts' inner size: as many as there are, each as large as a routed one."""
    count = reader.size("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", default=0)
    return count * reader.size("moe_intermediate_size", "intermediate_size")


def some_experts(reader: Reader, flags: list[bool]) -> list[FeedForward]:
    """Experts with shared ones in the layers that `flags` name, a dense part in the others."""
    experts = routed(reader, shared=shared_size(reader))
    dense = experts if all(flags) else gated_dense(reader)
    return [experts if flag else dense for flag in flags]


def _all(reader: Reader) -> list[ModelLayer]:
    """Experts in all layers, beside a shared part where the config has its size."""
    shared = reader.size("shared_intermediate_size", "shared_expert_intermediate_size", default=0)
    part = routed(reader, shared=shared, name="block_sparse_moe")
    return stack(uniform_mixers(reader), [part] * reader.layers)


def _qwen_moe(reader: Reader) -> list[ModelLayer]:
    return stack(uniform_mixers(reader), qwen_parts(reader))


def qwen_parts(reader: Reader) -> list[FeedForward]:
    """Experts in every `decoder_sparse_step`-th layer, but for those of `mlp_only_layers`; a gated shared expert."""
    step = reader.size("decoder_sparse_step", default=1)
    dense_only = set(reader.numbers("mlp_only_layers"))
    shared = reader.size("shared_expert_intermediate_size", default=0)
    experts = reader.size(*EXPERTS)
    part = mixture(
        hidden=reader.hidden,
        experts=experts,
        per_token=reader.size("num_experts_per_tok", most=experts),
        size=reader.size("moe_intermediate_size", "intermediate_size"),
        shared=shared,
        shared_gate=shared > 0,
        shared_name="shared_expert",
    )
    flags = [index not in dense_only and (index + 1) % step == 0 for index in range(reader.layers)]
    dense = part if all(flags) else gated_dense(reader)
    return [part if flag else dense for flag in flags]


def _after_first(reader: Reader) -> list[ModelLayer]:
    """Dense layers first, as DeepSeek has them, with grouped-query attention."""
    return stack(uniform_mixers(reader), some_experts(reader, moe_flags(reader)))


def _ernie(reader: Reader) -> list[ModelLayer]:
    """Experts from one layer to another, both named, in steps."""
    count = reader.layers
    first = reader.size("moe_layer_start_index", default=0)
    last = reader.config.get("moe_layer_end_index")
    last = count - 1 if last in (None, -1) else reader.size("moe_layer_end_index", default=0)
    step = reader.size("moe_layer_interval", default=1)
    flags = [first <= index <= last and (index + 1) % step == 0 for index in range(count)]
    return stack(uniform_mixers(reader), some_experts(reader, flags))


def _hunyuan(reader: Reader) -> list[ModelLayer]:
    """Sizes may be lists with an entry for each layer, which are alike in all published models."""
    plain = {key: value[0] if isinstance(value, list) and value else value for key, value in reader.config.items()}
    one = Reader(reader.label, plain)
    shared = one.size("num_shared_expert", default=0) * one.size("moe_intermediate_size", "intermediate_size")
    return stack(uniform_mixers(one), [routed(one, shared=shared)] * one.layers)


def _mimo(reader: Reader) -> list[ModelLayer]:
    """MiMo-V2: layers with a window have heads of their own, and values are smaller than keys."""
    count = reader.layers
    value_size = reader.size("v_head_dim", default=reader.head_size)
    full = plain_attention(reader, value_size=value_size)
    cut = plain_attention(
        reader,
        heads=reader.size("swa_num_attention_heads", default=reader.heads),
        kv_heads=reader.size("swa_num_key_value_heads", default=reader.kv_heads),
        size=reader.size("swa_head_dim", default=reader.head_size),
        value_size=reader.size("swa_v_head_dim", default=value_size),
        window=reader.size("sliding_window", "sliding_window_size"),
    )
    named = reader.items("layer_types", count=count)
    listed = reader.items("hybrid_layer_pattern", count=count) or [0] * count
    sliding = [bool(flag) for flag in listed] if named is None else [kind == "sliding_attention" for kind in named]
    parts = some_experts(reader, moe_flags(reader, dense_first=1))
    return stack([cut if flag else full for flag in sliding], parts)


def _minimax_m3(reader: Reader) -> list[ModelLayer]:
    """Sparse attention by blocks after the first layers, and dense parts of their own size before the experts."""
    count = reader.layers
    sparse = reader.inner("sparse_attention_config")
    full = plain_attention(reader)
    mixers = [full] * count
    if sparse is not None and sparse.flag("use_sparse_attention", default=True):
        block = sparse.size("sparse_block_size")
        chosen = plain_attention(
            reader,
            index=(
                sparse.size("sparse_num_index_heads"),
                sparse.size("sparse_index_dim"),
                block * sparse.size("sparse_topk_blocks"),
            ),
        )
        flags = sparse.items("sparse_attention_freq", count=count) or [1] * count
        mixers = [chosen if flag else full for flag in flags]
    experts = routed(reader, shared=shared_size(reader), name="block_sparse_moe")
    dense = gated_dense(reader, size=reader.size("dense_intermediate_size", "intermediate_size"))
    return stack(mixers, [experts if flag else dense for flag in moe_flags(reader)])


ROWS: tuple[Architecture, ...] = (
    Architecture(
        ("mixtral", "phimoe", "minimax_m2", "granitemoe", "granitemoeshared", "olmoe", "flex_olmo"),
        f"{_MODELLING} each",
        _all,
        classes=("MixtralForCausalLM", "MiniMaxM2ForCausalLM"),
    ),
    Architecture(
        ("qwen3_moe", "qwen2_moe"),
        f"{_MODELLING} qwen3_moe, qwen2_moe",
        _qwen_moe,
        classes=("Qwen3MoeForCausalLM", "Qwen2MoeForCausalLM"),
        defaults={"use_sliding_window": False},
    ),
    Architecture(
        ("qwen3_vl_moe", "qwen3_vl_moe_text"),
        f"{_MODELLING} qwen3_vl_moe",
        _qwen_moe,
        tower=tower,
        defaults={"use_sliding_window": False},
    ),
    Architecture(
        ("glm4_moe", "dots1", "glm4v_moe", "glm4v_moe_text"),
        f"{_MODELLING} each",
        _after_first,
        tower=tower,
        defaults={"use_sliding_window": False},
    ),
    Architecture(("ernie4_5_moe",), f"{_MODELLING} ernie4_5_moe", _ernie, tied=True),
    Architecture(("hunyuan_v1_moe",), f"{_MODELLING} hunyuan_v1_moe; lists: Hunyuan-A13B", _hunyuan),
    Architecture(("mimo_v2_flash",), f"{_MODELLING} mimo_v2_flash", _mimo, classes=("MiMoV2FlashForCausalLM",)),
    Architecture(
        ("minimax_m3", "minimax_m3_vl", "minimax_m3_vl_text"), f"{_MODELLING} minimax_m3_vl", _minimax_m3, tower=tower
    ),
)
