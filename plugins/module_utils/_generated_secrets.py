# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets that a host makes once and keeps: where each comes from, the store, and what an environment file holds.

A secret is looked for in the store, then in its environment file; only one that is in neither is made. So it outlives
the loss of either, and a host that was set up by hand keeps the secrets that it has.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import secrets
import stat
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, Mapping, NamedTuple

STORE = "/var/lib/minato/generated_secrets/secrets.json"

Secrets = Dict[str, Dict[str, str]]  # by path of the environment file and by key

# One variable; a quoted value may go on over several lines, which are then no variables of their own.
_VARIABLE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*('[^']*'|"[^"]*"|[^\n]*)""", re.MULTILINE
)
# Read alike by everybody: without quotes, or between quotes without anything that one reader or another expands.
_BARE = re.compile(r"[^\s'\"\\$`#]+")
_QUOTED = re.compile(r"""'([^'\\\n]*)'|"([^"\\$`\n]*)\"""")


class SecretsError(Exception):
    """A secret cannot be kept. The message says which and what to do, never its value."""


class Plan(NamedTuple):
    """The value of every secret, and those that are made or taken over from their file, as `PATH: KEY`."""

    values: Secrets
    made: list[str]
    adopted: list[str]


def random_secret() -> str:
    """Return 32 random bytes in base64, which every reader of environment files takes without quotes."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def plan(
    stored: Mapping[str, Mapping[str, str]],
    present: Mapping[str, str],
    wanted: Mapping[str, list[str]],
    make: Callable[[], str] = random_secret,
) -> Plan:
    """Say what each wanted secret is. stored: the store; present: the text of each environment file that is there."""
    result = Plan({}, [], [])
    for path, keys in wanted.items():
        values = result.values[path] = {}
        for key in keys:
            kept = stored.get(path, {}).get(key)
            found = None if kept else value_of(present.get(path, ""), key, path)
            if not kept:
                (result.adopted if found else result.made).append(f"{path}: {key}")
            values[key] = kept or found or make()
    return result


def value_of(text: str, key: str, path: str) -> str | None:
    """Return the value of a key in the text of an environment file, None where it has none.

    Raises `SecretsError` where readers of the file would not agree on it.
    """
    written = None
    for match in _VARIABLE.finditer(text):
        if match.group(1) == key:
            written = match.group(2).strip()
    if written in (None, "", "''", '""'):
        return None
    quoted = _QUOTED.fullmatch(str(written))
    if quoted:
        return quoted.group(1) or quoted.group(2)
    if not _BARE.fullmatch(str(written)):
        raise SecretsError(
            f"{path}: {key} is there already, but readers of the file do not agree on its value. "
            f"Write that value into the list of values, or delete the line to have a new one made."
        )
    return written


def read_present(path: str) -> str:
    """Return the text of an environment file, nothing where there is none. Its directory may be another user's."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return ""
    with os.fdopen(handle, "rb") as stream:
        return stream.read().decode("utf-8", "replace")


def load(store: str) -> Secrets:
    """Return what the store holds. Raises `SecretsError` where it cannot be read: nothing must be made anew then."""
    try:
        with open(store, encoding="utf-8") as stream:
            found = json.load(stream)
        return {str(path): {str(key): str(value) for key, value in keys.items()} for path, keys in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise SecretsError(
            f"{store} cannot be read: {why}. Put back a copy of it, or move it away: what the environment files hold "
            f"is kept then. Nothing was changed."
        ) from None


def merged(stored: Mapping[str, Mapping[str, str]], values: Mapping[str, Mapping[str, str]]) -> Secrets:
    """Return what the store is to hold: it forgets nothing by itself."""
    paths = dict.fromkeys([*stored, *values])
    return {path: {**stored.get(path, {}), **values.get(path, {})} for path in paths}


def save(store: str, content: Mapping[str, Mapping[str, str]]) -> None:
    """Write the store so that it is whole after any crash, for root alone."""
    new = store + ".new"
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=1, sort_keys=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(new, store)
    directory = os.open(os.path.dirname(store), os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


@contextmanager
def locked(store: str) -> Iterator[None]:
    """Hold the store, so that two runs at a time do not make a secret each."""
    os.makedirs(os.path.dirname(store), mode=0o700, exist_ok=True)
    handle = os.open(os.path.dirname(store), os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
