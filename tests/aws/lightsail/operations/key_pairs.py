"""Key pairs."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError, NotFoundError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, Resource
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.tags import Tags, checked_tags
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

DEFAULT = "LightsailDefaultKeyPair"


def put(cloud: LightsailBackend, name: str, public: str, tags: Tags | None = None) -> Resource:
    """Keep a public key, written as in authorized_keys."""
    try:
        blob = base64.b64decode(public.split()[1], validate=True)
        serialization.load_ssh_public_key(public.encode())
    except (IndexError, ValueError, binascii.Error) as error:
        raise InvalidInputError(f"This is no public key in OpenSSH's format: {public[:30]}") from error
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    fingerprint = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
    return cloud.add("KeyPair", name, tags=checked_tags(tags or []), fingerprint=fingerprint)


def _new(cloud: LightsailBackend, name: str, tags: Tags | None = None) -> tuple[Resource, str, str]:
    """Make a pair; return the resource, the public and the private key, which are text in spite of their names."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    return put(cloud, name, public, tags), public, private


@operation
def create_key_pair(cloud: LightsailBackend, key_pair_name: str, tags: Tags | None = None) -> dict[str, Any]:
    cloud.refuse_names([key_pair_name])
    pair, public, private = _new(cloud, key_pair_name, tags)
    done = cloud.done("CreateKeyPair", pair)
    return {"keyPair": pair, "publicKeyBase64": public, "privateKeyBase64": private, "operation": done}


@operation
def import_key_pair(cloud: LightsailBackend, key_pair_name: str, public_key_base64: str) -> dict[str, Any]:
    return {"operation": cloud.done("ImportKeyPair", put(cloud, key_pair_name, public_key_base64))}


@operation
def download_default_key_pair(cloud: LightsailBackend) -> dict[str, Any]:
    known = cloud.hidden["default key pair"]
    if DEFAULT not in cloud.resources["KeyPair"]:
        pair, known["publicKeyBase64"], known["privateKeyBase64"] = _new(cloud, DEFAULT)
        known["createdAt"] = pair["createdAt"]
    return dict(known)


@operation
def get_key_pair(cloud: LightsailBackend, key_pair_name: str) -> dict[str, Any]:
    return {"keyPair": cloud.get("KeyPair", key_pair_name)}


@operation
def get_key_pairs(
    cloud: LightsailBackend, page_token: str = "", include_default_key_pair: bool = False
) -> dict[str, Any]:
    pairs = cloud.resources["KeyPair"].values()
    shown = [pair for pair in pairs if include_default_key_pair or pair["name"] != DEFAULT]
    return cloud.page("keyPairs", shown, page_token)


@operation
def delete_key_pair(cloud: LightsailBackend, key_pair_name: str, expected_fingerprint: str = "") -> dict[str, Any]:
    pair = cloud.get("KeyPair", key_pair_name)
    if key_pair_name == DEFAULT and not expected_fingerprint:
        raise InvalidInputError("To delete the default key pair, give its expectedFingerprint.")
    if expected_fingerprint and expected_fingerprint != pair["fingerprint"]:
        raise NotFoundError(f"The KeyPair does not have this fingerprint: {expected_fingerprint}")
    cloud.remove(pair)
    return {"operation": cloud.done("DeleteKeyPair", pair)}
