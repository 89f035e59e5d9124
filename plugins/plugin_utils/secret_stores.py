# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SSM Parameter Store and Secrets Manager as homes of ``fleet_secrets``: all under a prefix, by app and name."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable, Iterator

Values = Iterator[tuple[str, str]]

LAYOUT = "Lay it out as {prefix}APP/NAME, or as {prefix}APP with a JSON object of names and values"


class StoreError(Exception):
    """The store does not hold what is wanted. No message has a value in it."""


def parameters(client: t.Any, prefix: str) -> Values:
    """Path and text of each parameter of SSM under a prefix, decrypted."""
    pages = client.get_paginator("get_parameters_by_path")
    for page in pages.paginate(Path=prefix, Recursive=True, WithDecryption=True):
        for parameter in page["Parameters"]:
            yield parameter["Name"], parameter["Value"]


def secrets(client: t.Any, prefix: str) -> Values:
    """Name and text of each secret of Secrets Manager under a prefix. botocore has no paginator for this call."""
    wanted: dict[str, t.Any] = {"Filters": [{"Key": "name", "Values": [prefix]}]}
    while True:
        page = client.batch_get_secret_value(**wanted)
        for error in page.get("Errors", []):
            raise StoreError(
                f"{error.get('SecretId')} cannot be read: {error.get('Message')} ({error.get('ErrorCode')})"
            )
        for secret in page["SecretValues"]:
            if "SecretString" not in secret:
                raise StoreError(f"{secret['Name']} holds bytes; a secret of the fleet is text")
            yield secret["Name"], secret["SecretString"]
        if not page.get("NextToken"):
            return
        wanted["NextToken"] = page["NextToken"]


# By the name of the store: boto3's name of the service, and how it is read.
STORES: dict[str, tuple[str, Callable[[t.Any, str], Values]]] = {
    "ssm": ("ssm", parameters),
    "secretsmanager": ("secretsmanager", secrets),
}


def by_app(values: Values, prefix: str) -> dict[str, dict[str, str]]:
    """The values under a prefix, by app and name.

    Args:
        values: Paths and texts. A path is the prefix, the app and the name, or the prefix and the app with a JSON
            object of both.
        prefix: Where the fleet's secrets begin, with its last slash.

    Raises:
        StoreError: Nothing is there, or a path does not fit.
    """
    found: dict[str, dict[str, str]] = {}
    for path, text in values:
        app, _slash, name = path.removeprefix(prefix).partition("/")
        if not path.startswith(prefix) or not app or "/" in name:
            raise StoreError(f"{path} does not fit. {LAYOUT.format(prefix=prefix)}")
        found.setdefault(app, {}).update({name: text} if name else _object(path, text, prefix))
    if not found:
        raise StoreError(f"there is nothing under {prefix}. {LAYOUT.format(prefix=prefix)}")
    return found


def of_app(values: Values, prefix: str, app: str) -> dict[str, str]:
    """The values of one app, by name; raises StoreError as ``by_app`` does."""
    own = (prefix + app, prefix + app + "/")
    its = [(path, text) for path, text in values if path == own[0] or path.startswith(own[1])]
    if not its:
        raise StoreError(f"there is nothing of {app} under {prefix}. {LAYOUT.format(prefix=prefix)}")
    return by_app(iter(its), prefix)[app]


def _object(path: str, text: str, prefix: str) -> dict[str, str]:
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, dict):
        raise StoreError(f"{path} is no JSON object. {LAYOUT.format(prefix=prefix)}")
    return {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in names.items()}
