# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gets an artifact that was built elsewhere: a file of the controller's, or one that is downloaded here, once.

Only what has the checksum that the app names is kept, or taken to a host.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import lzma
import os
import tarfile
import time
import typing as t
import urllib.error
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from ansible.module_utils.urls import open_url
from ansible_collections.minato.fleet.plugins.module_utils._release_archive import CHUNK, sha256
from ansible_collections.minato.fleet.plugins.module_utils._releases import split_credentials
from ansible_collections.minato.fleet.plugins.plugin_utils.artifact_store import BLOCK, Artifact, Store, StoreError

App = t.Mapping[str, t.Any]

SILENCE = 30  # seconds that a server may say nothing


class FetchError(Exception):
    """There is no such artifact; the text says why, and is shown as it is."""


def find(app: App, store: Store) -> Artifact | None:
    """The artifact where the controller has it already, or None. Raises FetchError for a file that is another one."""
    wanted = app["artifact"]
    with _told(app):
        if wanted["path"]:
            return _local(wanted["path"], wanted["sha256"])
        known = store.find(_name(wanted["sha256"]))
        return known if known and sha256(known["path"]) == wanted["sha256"] else None


def fetch(app: App, store: Store, timeout: int) -> tuple[Artifact, bool]:
    """The artifact, and whether it was downloaded now. Raises FetchError."""
    digest, url = app["artifact"]["sha256"], app["artifact"]["url"]
    with _told(app), contextlib.ExitStack() as stack:
        if url:
            stack.enter_context(store.locked(_name(digest), timeout))
        known = find(app, store)
        if known:
            return known, False
        made = _download(url, digest, store, timeout)
        store.prune(app["keep"])
        return made, True


@contextlib.contextmanager
def _told(app: App) -> Iterator[None]:
    """What goes wrong is told with the app's name."""
    try:
        yield
    except (StoreError, OSError, _RefusedError) as error:
        raise FetchError(f"{app['name']}: artifact: {error}") from None


class _RefusedError(Exception):
    pass


def _name(digest: str) -> str:
    return f"{digest[:12]}-{digest[12:24]}"


def _manifest(origin: str) -> dict[str, str]:
    return {"built_on": "elsewhere", "artifact": origin, "author": "", "committed_at": ""}


def _local(path: str, digest: str) -> Artifact:
    if not os.path.isfile(path):
        raise _RefusedError(f"{path} is not on the controller: put it there, or write another path")
    _check(path, sha256(path), digest, "Nothing of it was sent: write")
    size = os.path.getsize(path) + _unpacked(path, path)
    return {"path": path, "sha256": digest, "size": size, "manifest": _manifest(path)}


def _check(origin: str, found: str, wanted: str, then: str) -> None:
    if found != wanted:
        raise _RefusedError(
            f"{origin} has the SHA-256 {found}, and not {wanted}. {then} the checksum that its maker tells, or the"
            " place of the right file"
        )


def _unpacked(path: str, origin: str) -> int:
    """Bytes that what is in an archive takes on a disk."""
    try:
        with tarfile.open(path) as archive:
            return sum(-(-member.size // BLOCK) * BLOCK if member.isreg() else BLOCK for member in archive)
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise _RefusedError(f"{origin} cannot be read as a tar archive: {error}") from None


def _download(url: str, digest: str, store: Store, timeout: int) -> Artifact:
    path, origin = store.incoming(_name(digest)), shown(url)
    try:
        _check(origin, _receive(url, origin, path, timeout), digest, "Nothing of it was kept: write")
        return store.keep(_name(digest), digest, _unpacked(path, origin), _manifest(origin))
    finally:
        if os.path.lexists(path):
            os.unlink(path)


def shown(url: str) -> str:
    """The URL without what may be secret in it: password and query."""
    parts = urlsplit(split_credentials(url)[0])
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _receive(url: str, origin: str, path: str, timeout: int) -> str:
    """Write what a URL gives to a file; gives its checksum."""
    bare, user, password = split_credentials(url)
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    asked: dict[str, t.Any] = {
        "headers": {"Authorization": f"Basic {login}"} if password else {},
        "unredirected_headers": ["Authorization"],  # not for whom this server may send us on to
        "http_agent": "minato.fleet",
        "use_netrc": False,
        "timeout": min(timeout, SILENCE),
    }
    until, count, digest = time.monotonic() + timeout, 0, hashlib.sha256()
    try:
        with open_url(bare, **asked) as answer, open(path, "wb") as stream:
            for chunk in iter(lambda: answer.read(CHUNK), b""):
                count += stream.write(chunk)
                digest.update(chunk)
                if time.monotonic() > until:
                    raise _RefusedError(f"{origin} took longer than {timeout} s. Nothing of it was kept")
            length = answer.headers["Content-Length"]
    except urllib.error.HTTPError as error:
        error.close()
        raise _RefusedError(f"{origin} answered {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise _RefusedError(f"{origin} could not be asked: {error.reason}") from None
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _RefusedError(f"{origin} broke off after {count} bytes: {error or type(error).__name__}") from None
    if length and int(length) != count:
        raise _RefusedError(f"{origin} broke off after {count} of {length} bytes")
    return digest.hexdigest()
