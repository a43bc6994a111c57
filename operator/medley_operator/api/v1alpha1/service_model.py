"""The model of an `LLMService`: where its weights come from, and what they are.

An address names one of five sources. All of them lie outside the cluster or in the LLMService's own namespace: a claim
or a Secret is named without a namespace, and no part of a path leads upwards.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule
from medley_operator.api.v1alpha1.fields import Dns1123Subdomain, ModelId, ModelUri


class SecretKeyRef(ApiModel):
    """A key of a Secret in the LLMService's own namespace."""

    name: Dns1123Subdomain
    key: str = Field("HF_TOKEN", pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)


class BucketSecretRef(ApiModel):
    """A Secret in the LLMService's own namespace with the credentials of a bucket."""

    name: Dns1123Subdomain


class ModelPrecision(StrEnum):
    CHECKPOINT = "Checkpoint"
    BF16 = "BF16"
    FP8 = "FP8"
    INT4 = "INT4"
    FP4 = "FP4"
    AUTO = "Auto"


class DeclaredPrecision(StrEnum):
    """Number formats that a checkpoint may have."""

    BF16 = "BF16"
    FP8 = "FP8"
    INT8 = "INT8"
    INT4 = "INT4"
    FP4 = "FP4"


class ModelCapacity(ApiModel):
    """Sizes of a model by hand, where its architecture is one that Medley does not know."""

    parameters: int = Field(ge=1000000, le=100000000000000, description="All parameters.")
    active_parameters: int | None = Field(
        None, ge=1000000, le=100000000000000, description="Parameters that one token uses. Default: all."
    )
    layers: int = Field(ge=1, le=4096, description="Number of layers.")
    hidden_size: int = Field(ge=64, le=262144, description="Size of the hidden state.")
    kv_bytes_per_token: int = Field(
        ge=0, le=1000000000, description="Bytes that a token takes in a KV cache in BF16, over all layers and GPUs."
    )
    state_bytes_per_sequence: int = Field(
        0,
        ge=0,
        le=100000000000,
        description="Bytes that a sequence takes whatever its length: states, windows.",
    )
    experts: int = Field(0, ge=0, le=16384, description="Experts of a layer; 0 for a dense model.")
    experts_per_token: int = Field(0, ge=0, le=16384, description="Experts of a layer that one token uses.")
    attention_heads: int | None = Field(
        None, ge=1, le=16384, description="Attention heads, which tensor parallelism divides. Default: no limit."
    )
    key_value_heads: int | None = Field(
        None,
        ge=1,
        le=16384,
        description="KV heads. Default: attentionHeads; without either, each GPU keeps the whole KV cache.",
    )
    precision: DeclaredPrecision = Field(
        DeclaredPrecision.BF16, description="Number format of the checkpoint's weights."
    )


class ModelSource(StrEnum):
    """The scheme of a model's address."""

    HUGGING_FACE = "hf"
    CLAIM = "pvc"
    IMAGE = "oci"
    S3 = "s3"
    GOOGLE_STORAGE = "gs"


class ModelSpec(ApiModel):
    """The model that is served."""

    uri: ModelUri = Field(
        description="Address of the weights: hf://organisation/model; pvc://claim/path, a PersistentVolumeClaim of the "
        "same namespace; oci://image, mounted as an image volume; s3://bucket/path or gs://bucket/path, streamed by "
        "the engine."
    )
    id: ModelId | None = Field(
        None,
        description="Model that the weights are of, such as meta-llama/Llama-3.1-8B-Instruct. For addresses other than "
        "hf://, which name it themselves.",
    )
    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
        max_length=128,
        description="Model name that clients use. Default: the object's name.",
    )
    precision: ModelPrecision = Field(
        ModelPrecision.CHECKPOINT,
        description="Number format of the weights. Checkpoint: the one that the checkpoint's files have. Auto: the "
        "cheaper of BF16 and FP8 by GPU type for a BF16 checkpoint, else the checkpoint's. Of a BF16 checkpoint the "
        "engine makes FP8 when it loads it; INT4 and FP4 are those of checkpoints that have them.",
    )
    max_model_len: int = Field(16384, ge=128, le=1048576, description="Longest prompt plus generation, in tokens.")
    token_secret_ref: SecretKeyRef | None = Field(None, description="Hugging Face token for gated models.")
    credentials_secret_ref: BucketSecretRef | None = Field(
        None,
        description="Secret with the credentials of the bucket: keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for "
        "s3://, key credentials.json for gs://. Default: those that the node or the cloud gives the pod.",
    )
    config_json: str | None = Field(
        None,
        max_length=32768,
        description="Content of the model's config.json; needed for models that Medley does not know.",
    )
    weight_bytes: int | None = Field(
        None,
        ge=1000000,
        le=100000000000000,
        description="Bytes of all weights that the engine loads, as medley model import reads them from the "
        "checkpoint's files. Default: counted from the model's sizes.",
    )
    capacity: ModelCapacity | None = Field(
        None,
        description="Sizes of the model by hand, where Medley does not know its architecture; they count instead of "
        "configJson. medley model import writes what the checkpoint's files say of them.",
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.id) || !self.uri.startsWith('hf://')",
            message="id is for addresses other than hf://, which names the model itself; remove id",
            holds=lambda self: self.id is None or self.source is not ModelSource.HUGGING_FACE,
        ),
        CelRule(
            cel="self.uri.startsWith('hf://') || has(self.id) || has(self.configJson) || has(self.capacity)",
            message="an address other than hf:// needs id, a model that Medley knows, configJson or capacity",
            holds=lambda self: (
                self.source is ModelSource.HUGGING_FACE
                or self.id is not None
                or self.config_json is not None
                or self.capacity is not None
            ),
        ),
        CelRule(
            cel="!has(self.capacity) || has(self.weightBytes)",
            message="capacity needs weightBytes",
            holds=lambda self: self.capacity is None or self.weight_bytes is not None,
        ),
        CelRule(
            cel="!has(self.credentialsSecretRef) || self.uri.startsWith('s3://') || self.uri.startsWith('gs://')",
            message="credentialsSecretRef is for addresses s3:// and gs://; remove it",
            holds=lambda self: (
                self.credentials_secret_ref is None or self.source in (ModelSource.S3, ModelSource.GOOGLE_STORAGE)
            ),
        ),
    )

    @property
    def source(self) -> ModelSource:
        return ModelSource(self.uri.partition("://")[0])

    @property
    def location(self) -> str:
        """The address without its scheme."""
        return self.uri.partition("://")[2]
