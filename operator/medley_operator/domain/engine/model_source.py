"""How an engine's pod gets at the weights, by the source that the model's address names. Pure.

Weights of `hf://` are downloaded into the cache; a claim of the service's own namespace and an image are mounted, read
only; buckets are streamed by the engine. A claim is mounted whole, since the layout of the Hugging Face hub is of links
to files beside the folder that is named.
"""

from __future__ import annotations

from medley_operator.api.v1alpha1 import LLMService, ModelSource, ModelSpec
from medley_operator.domain.engine.pod_parts import PodParts
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.shapes import model_id

MODEL_PATH = "/model"
CREDENTIALS_PATH = "/credentials"
CREDENTIALS_KEY = "credentials.json"
_S3_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def engine_location(model: ModelSpec) -> str:
    """The name, folder or address that the engine loads."""
    match model.source:
        case ModelSource.HUGGING_FACE:
            return model_id(model.uri)
        case ModelSource.CLAIM:
            path = model.location.partition("/")[2]
            return f"{MODEL_PATH}/{path}" if path else MODEL_PATH
        case ModelSource.IMAGE:
            return MODEL_PATH
        case ModelSource.S3 | ModelSource.GOOGLE_STORAGE:
            return model.uri


def source_parts(service: LLMService) -> PodParts:
    """Tokens, credentials and volumes that the model's source needs."""
    model = service.spec.model
    match model.source:
        case ModelSource.HUGGING_FACE:
            return PodParts(env=_hub_token(model))
        case ModelSource.CLAIM:
            claim = model.location.partition("/")[0]
            return _mounted({"persistentVolumeClaim": {"claimName": claim, "readOnly": True}})
        case ModelSource.IMAGE:
            return _mounted({"image": {"reference": model.location, "pullPolicy": "IfNotPresent"}})
        case ModelSource.S3:
            return PodParts(env=_s3_keys(model))
        case ModelSource.GOOGLE_STORAGE:
            return _google_credentials(model)


def _mounted(volume: Manifest) -> PodParts:
    return PodParts(
        volumes=({"name": "model", **volume},),
        mounts=({"name": "model", "mountPath": MODEL_PATH, "readOnly": True},),
    )


def _hub_token(model: ModelSpec) -> tuple[Manifest, ...]:
    token = model.token_secret_ref
    if token is None:
        return ()
    return (_from_secret("HF_TOKEN", {"name": token.name, "key": token.key, "optional": True}),)


def _s3_keys(model: ModelSpec) -> tuple[Manifest, ...]:
    secret = model.credentials_secret_ref
    if secret is None:
        return ()
    return tuple(_from_secret(key, {"name": secret.name, "key": key}) for key in _S3_KEYS)


def _from_secret(name: str, reference: Manifest) -> Manifest:
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}


def _google_credentials(model: ModelSpec) -> PodParts:
    secret = model.credentials_secret_ref
    if secret is None:
        return PodParts()
    items = [{"key": CREDENTIALS_KEY, "path": CREDENTIALS_KEY}]
    return PodParts(
        env=({"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": f"{CREDENTIALS_PATH}/{CREDENTIALS_KEY}"},),
        volumes=({"name": "credentials", "secret": {"secretName": secret.name, "items": items}},),
        mounts=({"name": "credentials", "mountPath": CREDENTIALS_PATH, "readOnly": True},),
    )
