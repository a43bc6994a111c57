"""Small checkpoints in the form of real ones."""

from __future__ import annotations

import json
from typing import Any

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 256,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 512, "vocab_size": 1000,
    "max_position_embeddings": 4096,
}  # fmt: skip
UNKNOWN = {**LLAMA, "architectures": ["NewForCausalLM"], "model_type": "new_kind"}


def llama_tensors() -> dict[str, list[int]]:
    """As LLAMA's checkpoint lists them."""
    found = {"model.embed_tokens.weight": [1000, 256], "lm_head.weight": [1000, 256], "model.norm.weight": [256]}
    for layer in range(2):
        before = f"model.layers.{layer}."
        found |= {
            f"{before}self_attn.q_proj.weight": [256, 256],
            f"{before}self_attn.k_proj.weight": [128, 256],
            f"{before}self_attn.v_proj.weight": [128, 256],
            f"{before}self_attn.o_proj.weight": [256, 256],
            f"{before}mlp.gate_proj.weight": [512, 256],
            f"{before}mlp.up_proj.weight": [512, 256],
            f"{before}mlp.down_proj.weight": [256, 512],
            f"{before}input_layernorm.weight": [256],
            f"{before}post_attention_layernorm.weight": [256],
        }
    return found


def safetensors(tensors: dict[str, list[int]], *, dtype: str = "BF16") -> bytes:
    """A file that ends after its header: nothing behind it is ever read."""
    header = json.dumps({name: {"dtype": dtype, "shape": shape} for name, shape in tensors.items()}).encode()
    return len(header).to_bytes(8, "little") + header


def in_two_files(tensors: dict[str, list[int]]) -> dict[str, bytes]:
    """With their index."""
    names = list(tensors)
    halves = {"a.safetensors": names[:5], "b.safetensors": names[5:]}
    index = {"weight_map": {name: file for file, own in halves.items() for name in own}}
    files = {file: safetensors({name: tensors[name] for name in own}) for file, own in halves.items()}
    return files | {"model.safetensors.index.json": json.dumps(index).encode()}
