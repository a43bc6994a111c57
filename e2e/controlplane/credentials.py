"""Who may talk to the API server: tokens, the key that signs ServiceAccount tokens, kubeconfigs. Only returns text."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping

# Order of the base point of NIST P-256 (FIPS 186-4, D.1.2.3): a private key is a number from 1 to this less one.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# RFC 5915: SEQUENCE { version 1, OCTET STRING of 32 bytes, [0] OID prime256v1 }; the optional public key is left out.
_EC_KEY_HEAD = bytes.fromhex("30310201010420")
_EC_KEY_TAIL = bytes.fromhex("a00a06082a8648ce3d030107")


def new_signing_key() -> str:
    """A new P-256 private key in PEM, made without openssl so that nothing has to be installed for it."""
    number = secrets.randbelow(_P256_ORDER - 1) + 1
    body = base64.encodebytes(_EC_KEY_HEAD + number.to_bytes(32, "big") + _EC_KEY_TAIL).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n"


def new_tokens() -> dict[str, str]:
    """A new token for each user of `token_file`."""
    return {name: secrets.token_hex(16) for name in ("admin", "controller-manager", "scheduler")}


def token_file(tokens: Mapping[str, str]) -> str:
    """The API server's --token-auth-file: token, user, uid, groups."""
    return (
        f"{tokens['admin']},admin,admin,system:masters\n"
        f"{tokens['controller-manager']},system:kube-controller-manager,kcm\n"
        f"{tokens['scheduler']},system:kube-scheduler,scheduler\n"
    )


def kubeconfig(*, server: str, certificate: bytes, token: str, namespace: str = "default") -> str:
    """A kubeconfig with one user, in JSON, which is YAML. `certificate`: PEM of the server's own certificate."""
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(certificate).decode()}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "medley", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "medley", "context": {"cluster": "medley", "user": "user", "namespace": namespace}}],
            "current-context": "medley",
        }
    )
