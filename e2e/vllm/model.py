"""A small random Llama, written by hand: a config and a byte-level tokenizer; the engine makes the weights itself.

76 million parameters are enough that batching, prefill interference and the KV cache show in an engine's step times on
a CPU; what the model says is noise, how long it takes is not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medley_planner.shapes import ModelShape, shape_from_config

NAME = "medley-e2e/random-llama-76m"
VOCABULARY = 512
POSITIONS = 4096
END_TOKEN = VOCABULARY - 1

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "hidden_act": "silu",
    "max_position_embeddings": POSITIONS,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "vocab_size": VOCABULARY,
    "tie_word_embeddings": False,
    "bos_token_id": END_TOKEN,
    "eos_token_id": END_TOKEN,
    "torch_dtype": "bfloat16",
}


def shape() -> ModelShape:
    return shape_from_config(CONFIG, name=NAME)


def write_model(folder: Path) -> Path:
    """Writes the model's files into `folder`; to be served with `--load-format dummy`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"config.json": CONFIG, "tokenizer.json": _tokenizer(), "tokenizer_config.json": _TOKENIZER_CONFIG}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


_TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": "<end>",
    "eos_token": "<end>",
    "model_max_length": POSITIONS,
}


def _tokenizer() -> dict[str, Any]:
    """Byte-level BPE: printable ASCII, then words of two letters that no merge makes, so that ids decode to text."""
    letters = [chr(code) for code in range(33, 127)]
    pairs = [first + second for first in "abcdefghijklmnopqrstuvwxyz" for second in "abcdefghijklmnopqrstuvwxyz"]
    words = [*letters, *pairs][:END_TOKEN]
    end = {
        "id": END_TOKEN, "content": "<end>", "special": True,
        "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
    }  # fmt: skip
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [end],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {**{word: number for number, word in enumerate(words)}, "<end>": END_TOKEN},
            "merges": [],
        },
    }
