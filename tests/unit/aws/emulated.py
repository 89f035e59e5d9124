# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How these tests talk to the cloud."""

from __future__ import annotations

import functools
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config

REGION = "ap-northeast-1"
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


def data(name: str) -> Any:
    """Return what a file beside this one says."""
    return yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))


@functools.cache
def client(cloud: str, service: str = "lightsail", region: str = REGION, attempts: int = 1, **settings: Any) -> Any:
    """Return boto3's own client, which tries once unless told otherwise."""
    config = Config(retries={"total_max_attempts": attempts, "mode": "standard"}, **settings)
    return boto3.client(service, endpoint_url=cloud, region_name=region, config=config, **KEYS)


def send(cloud: str, operation: str, request: Any, region: str = REGION) -> tuple[int, dict[str, Any]]:
    """Send a request that no client has looked at."""
    scope = f"testing/20261121/{region}/lightsail/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        "X-Amz-Target": f"Lightsail_20161128.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
    }
    return _ask(urllib.request.Request(cloud, json.dumps(request, default=str).encode(), headers))


def control(cloud: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Ask the cloud's own path."""
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
    return _ask(urllib.request.Request(f"{cloud}/_cloud{path}", sent, method=method))


def _ask(request: urllib.request.Request) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def holds(part: Any, whole: Any) -> bool:
    """Whether the whole has what the part has: its keys, and each of a list's items, its first before an item "..."."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(holds(value, whole.get(key)) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        more = part[-1:] == ["..."]
        wanted = part[:-1] if more else part
        fits = len(whole) > len(wanted) if more else len(whole) == len(wanted)
        return fits and all(holds(*pair) for pair in zip(wanted, whole, strict=False))
    return bool(part == whole)
