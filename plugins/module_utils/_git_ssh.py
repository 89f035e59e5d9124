# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ssh as git calls it: with a deploy key that is in no file, and held against host keys that somebody wrote down.

A deploy key is a private key in OpenSSH's format, without a passphrase. ssh gets it from a file that lies in memory
alone (memfd_create(2)), by way of /proc: it has no name on any disk, and is gone with the process however that ends.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
import struct
from contextlib import ExitStack, contextmanager
from typing import Iterator, NamedTuple, Sequence
from urllib.parse import urlsplit

BEGIN, END = (f"-----{word} OPENSSH PRIVATE KEY-----" for word in ("BEGIN", "END"))
MAGIC = b"openssh-key-v1\0"
WIDTH = 70  # characters of a line, as ssh-keygen writes them
NAME = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)"
URL = re.compile(rf"^ssh://(?:[^@/\s]*@)?{NAME}(?::[0-9]*)?/")
SHORT = re.compile(rf"^(?:[^@/:\s]+@)?{NAME}:(?!//|:)")
KEY_TYPE = re.compile(r"^(ssh|sk-ssh|ecdsa|sk-ecdsa)-[a-z0-9@.-]+$")

# Nothing of the account's own settings may bring in another key, keep this one, or stand for the server.
OPTIONS = ("BatchMode=yes", "StrictHostKeyChecking=yes", "ControlMaster=no", "ControlPath=none")
KEY_OPTIONS = ("IdentitiesOnly=yes", "IdentityAgent=none", "AddKeysToAgent=no")


class Key(NamedTuple):
    """A deploy key: what ssh reads, and what the server's operators see of it."""

    text: str
    fingerprint: str


def host(repository: str) -> str:
    """The server of a repository that is asked over ssh (``ssh://…`` or ``user@host:path``); empty for any other."""
    found = URL.match(repository) or SHORT.match(repository)
    return found.group(1).strip("[]").lower() if found else ""


def over_ssh(repository: str) -> str:
    """How a repository of another protocol is most likely called over ssh; empty where nobody can tell."""
    parts = urlsplit(repository)
    return f"ssh://git@{parts.hostname}{parts.path}" if parts.hostname else ""


def read_key(text: str) -> Key:
    """A deploy key; lines that were joined, indented or ended otherwise on the way are put right.

    Raises ValueError that says what is wrong and what to write instead. No part of the key is in it.
    """
    words = text.replace("\\n", "\n").strip()
    if KEY_TYPE.match(words.split(" ")[0]):
        raise ValueError("is the public half of a key. Write the private one, of the file without .pub")
    if not words.startswith(BEGIN):
        if "PRIVATE KEY-----" in words or words.startswith("PuTTY"):
            raise ValueError("is not in OpenSSH's format. `ssh-keygen -p -f FILE` rewrites it (PuTTYgen exports it)")
        raise ValueError(f"is not a private key. Write the whole file, from {BEGIN} on")
    body = "".join(words[len(BEGIN) :].split(END[:5])[0].split())
    try:
        if not words.endswith(END):
            raise ValueError
        cipher, public = _open(base64.b64decode(body, validate=True))
    except (ValueError, struct.error):
        raise ValueError(
            "is not whole. Write all lines of the file, below `DEPLOY_KEY: |` and indented by two"
        ) from None
    if cipher != b"none":
        raise ValueError(
            "has a passphrase, and nobody is there to type it. Make one without: `ssh-keygen -t ed25519 -N '' -f FILE`"
        )
    lines = [body[start : start + WIDTH] for start in range(0, len(body), WIDTH)]
    digest = base64.b64encode(hashlib.sha256(public).digest()).decode().rstrip("=")
    return Key("\n".join([BEGIN, *lines, END, ""]), f"SHA256:{digest}")


def _open(data: bytes) -> tuple[bytes, bytes]:
    """Cipher and public half (PROTOCOL.key of OpenSSH). Raises ValueError or struct.error where that is not whole."""
    if not data.startswith(MAGIC):
        raise ValueError
    cipher, place = _string(data, len(MAGIC))
    for _kdf in ("name", "options"):
        place = _string(data, place)[1]
    public, place = _string(data, place + 4)  # behind the number of keys
    _string(data, place)  # the private half
    return cipher, public


def _string(data: bytes, place: int) -> tuple[bytes, int]:
    """A string (RFC 4251, 5) and where it ends. Raises ValueError or struct.error."""
    (size,) = struct.unpack_from(">I", data, place)
    end = place + 4 + size
    if end > len(data):
        raise ValueError
    return data[place + 4 : end], end


def known_host(line: str, server: str) -> str:
    """A line of known_hosts, or the key alone, as ssh is given it for this server. Needs one without mistakes."""
    _names, kind, text = _split(line)
    return f"{server} {kind} {text}\n"


def host_key_mistakes(repository: str, lines: Sequence[str]) -> list[str]:
    """What is wrong with the host keys of a repository, a sentence each, without its full stop."""
    server = host(repository)
    if lines and not server:
        return ["repository_host_keys: has no use, as the repository is not asked over ssh. Take it out"]
    told = ((index, _host_key_mistake(line, server)) for index, line in enumerate(lines))
    return [f"repository_host_keys[{index}] {mistake}" for index, mistake in told if mistake]


def _host_key_mistake(line: str, server: str) -> str:
    example = f"Write it as `{server} ssh-ed25519 AAAA…`, which is how its operators publish it"
    if len(line.strip().splitlines()) > 1:
        return "has several lines. Write each as an entry of its own"
    names, kind, text = _split(line)
    if not _is_public(kind, text):
        return f"is not a host key, of which a fingerprint is not enough. {example}"
    plain = [re.sub(r"^\[(.*)\](:\d+)?$", r"\1", name).lower() for name in names]
    if names and server not in plain and not any(name.startswith("|") for name in names):  # |: the name is hashed
        return f"is a key of {names[0]}, and the repository is at {server}. {example}"
    return ""


def _split(line: str) -> tuple[list[str], str, str]:
    """The names of the server, none where there is the key alone, and the key's type and text."""
    words = line.split()
    names = [] if not words or KEY_TYPE.match(words[0]) else words.pop(0).split(",")
    kind, text = [*words, "", ""][:2]
    return names, kind, text


def _is_public(kind: str, text: str) -> bool:
    try:
        return bool(KEY_TYPE.match(kind)) and _string(base64.b64decode(text, validate=True), 0)[0] == kind.encode()
    except (ValueError, struct.error):
        return False


class Access:
    """How one repository is asked over ssh. Without a key and host keys, as the account asks any server."""

    def __init__(self, repository: str, deploy_key: str, host_keys: Sequence[str]) -> None:
        """Raises ValueError where either is not what it should be."""
        self.server = host(repository)
        if deploy_key and not self.server:
            raise ValueError("the deploy key has no use, as the repository is not asked over ssh")
        try:
            self.key = read_key(deploy_key) if deploy_key else None
        except ValueError as error:
            raise ValueError(f"the deploy key {error}") from None
        mistakes = host_key_mistakes(repository, host_keys)
        if mistakes:
            raise ValueError("; ".join(mistakes))
        self.known_hosts = "".join(known_host(line, self.server) for line in host_keys)

    @contextmanager
    def command(self) -> Iterator[str]:
        """What git is to call for ssh, while the context lasts; empty for what it calls anyhow. Raises OSError."""
        words: list[str] = []
        with ExitStack() as stack:
            if self.key:
                words += ["-i", stack.enter_context(_in_memory(self.key.text)), *_options(KEY_OPTIONS)]
            if self.known_hosts:
                path = stack.enter_context(_in_memory(self.known_hosts))
                known = [f"UserKnownHostsFile={path}", "GlobalKnownHostsFile=/dev/null"]
                words += _options([*known, f"HostKeyAlias={self.server}"])
            yield " ".join(map(shlex.quote, ["ssh", *_options(OPTIONS), *words])) if words else ""

    def explain(self, said: str) -> str:
        """What ssh's words mean and what to do, a sentence without its full stop; empty where that is plain."""
        if not self.server:
            return ""
        if "Host key verification failed" in said and self.known_hosts:
            return (
                f"{self.server} shows another host key than those of repository_host_keys. Compare these with what its"
                " operators publish: if they have new ones, write those; if not, somebody stands between"
            )
        if "Host key verification failed" in said:
            return (
                f"{self.server} shows a host key that is not known here. Write those that its operators publish:"
                f' `repository_host_keys: ["{self.server} ssh-ed25519 AAAA…"]`'
            )
        if "Permission denied (" in said and self.key:
            return (
                f"{self.server} does not let the deploy key {self.key.fingerprint} in. Enter its public half there"
                " (`ssh-keygen -y -f FILE` prints it), as a key that may read this repository"
            )
        if "Permission denied (" in said:
            return f"{self.server} does not let this account in. Give the app a deploy key, DEPLOY_KEY of its secrets"
        return ""


def _options(settings: Sequence[str]) -> list[str]:
    return [word for setting in settings for word in ("-o", setting)]


@contextmanager
def _in_memory(text: str) -> Iterator[str]:
    """The path, while the context lasts, of a file that is in memory alone and open to this account alone."""
    if not hasattr(os, "memfd_create"):
        raise OSError("a deploy key and host keys need Linux, which keeps them in memory")
    handle = os.memfd_create("minato-fleet")
    try:
        os.fchmod(handle, 0o600)  # ssh refuses a key that others may read
        os.write(handle, text.encode())
        yield f"/proc/{os.getpid()}/fd/{handle}"  # ssh closes what it has inherited
    finally:
        os.close(handle)
