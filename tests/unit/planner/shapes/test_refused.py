"""Models that generate no text are refused by what they are, with the key that says so."""

from __future__ import annotations

from typing import Any

import pytest

from medley_planner.shapes import BadConfig, shape_from_config

SIZES: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "vocab_size": 30522,
}


@pytest.mark.parametrize(
    ("name", "config", "words"),
    [
        ("BAAI/bge-m3", {"model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"]}, "embedding"),
        ("nomic-ai/nomic-embed-text-v1.5", {"model_type": "nomic_bert"}, "embedding"),
        ("answerdotai/ModernBERT-large", {"model_type": "modernbert"}, "embedding"),
        ("Qwen/Qwen3-Embedding-8B", {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}, "embedding"),
        ("Qwen/Qwen3-Reranker-4B", {"model_type": "qwen3"}, "reranking"),
        ("acme/judge", {"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}, "classification"),
        ("google/flan-t5-xl", {"model_type": "t5", "is_encoder_decoder": True}, "encoder-decoder"),
        ("openai/whisper-large-v3", {"model_type": "whisper"}, "encoder-decoder"),
        ("facebook/bart-large", {"architectures": ["BartForConditionalGeneration"], "model_type": "bart"}, "encoder"),
    ],
)
def test_it_is_refused_by_name(name: str, config: dict[str, Any], words: str) -> None:
    with pytest.raises(BadConfig, match=words) as caught:
        shape_from_config({**SIZES, **config}, name=name)
    assert "use a decoder-only model" in str(caught.value)
    assert caught.value.field in ("model_type", "architectures", "is_encoder_decoder")


def test_a_name_that_only_contains_the_letters_is_not_refused() -> None:
    config = {**SIZES, "model_type": "llama"}
    assert shape_from_config(config, name="acme/embedded-systems-coder").layers == 24
