# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a store of secrets holds, by path, to ``fleet_secrets``, by app and name."""

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleFilterError

LAYOUT = "Lay it out as {prefix}APP/NAME, or as {prefix}APP with a JSON object of names and values"


def secrets_by_app(values: t.Any, prefix: str) -> dict[str, dict[str, str]]:
    """The values under a prefix, by app and name.

    Args:
        values: Text by path, as the lookups ``amazon.aws.ssm_parameter`` (``bypath``, ``recursive``) and
            ``amazon.aws.secretsmanager_secret`` (``bypath``) give it; a list of one such mapping is taken too.
        prefix: Where the fleet's secrets begin: ``/minato/production/``.

    Raises:
        AnsibleFilterError: Nothing is there, or a path does not fit. No message has a value in it.
    """
    found: dict[str, dict[str, str]] = {}
    listed = values if isinstance(values, list) else [values]
    prefix = prefix.rstrip("/") + "/"
    for path, value in ((str(path), str(value)) for mapping in listed for path, value in mapping.items()):
        app, _slash, name = path.removeprefix(prefix).partition("/")
        if not path.startswith(prefix) or not app or "/" in name:
            raise AnsibleFilterError(f"The store of secrets has {path}. {LAYOUT.format(prefix=prefix)}.")
        found.setdefault(app, {}).update({name: value} if name else _object(path, value, prefix))
    if not found:
        raise AnsibleFilterError(f"The store of secrets has nothing under {prefix}. {LAYOUT.format(prefix=prefix)}.")
    return found


def _object(path: str, value: str, prefix: str) -> dict[str, str]:
    try:
        names = json.loads(value)
    except ValueError:
        names = None
    if not isinstance(names, dict):
        raise AnsibleFilterError(f"The secret {path} is no JSON object. {LAYOUT.format(prefix=prefix)}.")
    return {str(name): str(text) for name, text in names.items()}
