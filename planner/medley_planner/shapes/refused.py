"""Models that do not generate text token by token, by what their config.json calls them. Pure.

Apart: a list that grows with what people try to serve, and with nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ENCODERS = frozenset({
    "bert", "roberta", "xlm-roberta", "distilbert", "albert", "deberta", "deberta-v2", "electra", "mpnet", "nomic_bert",
    "modernbert", "new", "gte", "camembert", "jina_bert", "xlm-roberta-flash", "eurobert", "esm", "clip", "siglip",
    "colbert", "bge_m3", "jina_embeddings_v3", "embedding_gemma2",
})  # fmt: skip
_ENCODER_DECODERS = frozenset({
    "t5", "mt5", "umt5", "bart", "mbart", "pegasus", "marian", "m2m_100", "whisper", "t5gemma", "t5gemma2",
    "switch_transformers", "longt5", "blenderbot", "florence2", "speech_to_text", "seamless_m4t", "mllama", "led",
    "prophetnet",
})  # fmt: skip
_TASKS = ("ForSequenceClassification", "ForTokenClassification", "ForMaskedLM", "ForQuestionAnswering", "RewardModel")
_EMBEDDING_NAME = re.compile(
    r"(?:^|[-_/.])(?:embed(?:ding)?s?|embeddinggemma|reranker|colbert)(?:[-_/.]|$)", re.IGNORECASE
)


def why_refused(label: str, model_type: str, classes: Sequence[str], *, encoder_decoder: bool) -> str:
    """A sentence on what the model is, empty where it may generate text."""
    first = classes[0] if classes else ""
    if encoder_decoder or model_type in _ENCODER_DECODERS:
        return "it is an encoder-decoder model, whose encoder and cross attention no plan counts"
    if model_type in _ENCODERS or first.endswith(_TASKS) or first.endswith("EmbeddingModel"):
        return "it is an embedding or classification model, which generates no tokens"
    if _EMBEDDING_NAME.search(label):
        return "its name says that it is an embedding or reranking model, which generates no tokens"
    return ""
