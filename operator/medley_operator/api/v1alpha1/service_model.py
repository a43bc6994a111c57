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

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.id) || !self.uri.startsWith('hf://')",
            message="id is for addresses other than hf://, which names the model itself; remove id",
            holds=lambda self: self.id is None or self.source is not ModelSource.HUGGING_FACE,
        ),
        CelRule(
            cel="self.uri.startsWith('hf://') || has(self.id) || has(self.configJson)",
            message="an address other than hf:// needs id, a model that Medley knows, or configJson",
            holds=lambda self: (
                self.source is ModelSource.HUGGING_FACE or self.id is not None or self.config_json is not None
            ),
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
