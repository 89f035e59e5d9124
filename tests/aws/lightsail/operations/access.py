"""How to get into an instance: temporary keys, and the host keys it was seen to have."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail import catalogue
from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError, OperationFailureError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, Resource, now
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import ssh

LASTS = timedelta(minutes=5)


@operation
def get_instance_access_details(cloud: LightsailBackend, instance_name: str, protocol: str = "ssh") -> dict[str, Any]:
    instance = cloud.get("Instance", instance_name)
    windows = catalogue.blueprints()[instance["blueprintId"]]["platform"] == "WINDOWS"
    if windows != (protocol == "rdp"):
        raise InvalidInputError(f"The instance {instance_name} is not reached over {protocol}.")
    if instance["state"]["name"] != "running":
        raise OperationFailureError(f"The instance {instance_name} is {instance['state']['name']}.")
    details = {
        "protocol": protocol,
        "instanceName": instance_name,
        "username": instance["username"],
        "ipv6Addresses": instance["ipv6Addresses"],
    }
    if "publicIpAddress" in instance:
        details["ipAddress"] = instance["publicIpAddress"]
    if windows:
        cipher = base64.b64encode(hashlib.sha512(instance["arn"].encode()).digest()).decode()
        details["passwordData"] = {"ciphertext": cipher, "keyPairName": instance["sshKeyName"]}
    else:
        private, certificate, expires = _temporary_key(cloud, instance)
        details |= {"privateKey": private, "certKey": certificate, "expiresAt": expires}
        details["hostKeys"] = _host_keys(cloud, instance)
    return {"accessDetails": details}


@operation
def delete_known_host_keys(cloud: LightsailBackend, instance_name: str) -> dict[str, Any]:
    """The keys that the instance has now are those that are seen next."""
    instance = cloud.get("Instance", instance_name)
    cloud.hidden[instance["arn"]]["witnessed"] = now()
    return {"operations": [cloud.done("DeleteKnownHostKeys", instance)]}


def put_host_keys(cloud: LightsailBackend, instance: Resource, lines: list[str]) -> None:
    """Let an instance have these host keys, each as in /etc/ssh/ssh_host_*_key.pub."""
    cloud.hidden[instance["arn"]]["host_keys"] = [tuple(line.split()[:2]) for line in lines]


def _host_keys(cloud: LightsailBackend, instance: Resource) -> list[Resource]:
    known = cloud.hidden[instance["arn"]]
    if "host_keys" not in known:
        put_host_keys(cloud, instance, [_public(Ed25519PrivateKey.generate())])
    seen = known.setdefault("witnessed", instance["createdAt"])
    answer = []
    for algorithm, key in known["host_keys"]:
        blob = base64.b64decode(key)
        prints = {name: base64.b64encode(hashlib.new(name, blob).digest()) for name in ("sha1", "sha256")}
        answer.append(
            {
                "algorithm": algorithm,
                "publicKey": key,
                "witnessedAt": seen,
                "fingerprintSHA1": f"SHA1:{prints['sha1'].decode().rstrip('=')}",
                "fingerprintSHA256": f"SHA256:{prints['sha256'].decode().rstrip('=')}",
            }
        )
    return answer


def _temporary_key(cloud: LightsailBackend, instance: Resource) -> tuple[str, str, datetime]:
    """Return a private key, and a certificate for it by the region's authority."""
    authority = cloud.hidden["authority"].setdefault("key", Ed25519PrivateKey.generate())
    key = Ed25519PrivateKey.generate()
    begins = datetime.now(UTC).replace(microsecond=0)
    certificate = (
        ssh.SSHCertificateBuilder()
        .public_key(key.public_key())
        .type(ssh.SSHCertificateType.USER)
        .serial(1)
        .key_id(instance["name"].encode())
        .valid_principals([instance["username"].encode()])
        .valid_after(begins.timestamp())
        .valid_before((begins + LASTS).timestamp())
        .sign(authority)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return private.decode(), certificate.public_bytes().decode(), begins + LASTS


def _public(key: Ed25519PrivateKey) -> str:
    formats = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(*formats).decode()
