# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host keys that the cloud has seen, as the file that ssh checks them against."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.minato.fleet.plugins.plugin_utils.aws_hosts import Host


def lines(hosts: Iterable[Host]) -> list[str]:
    """One line for each key: the host's name, under which ssh looks it up, and its addresses, for people."""
    return [
        f"{','.join([host.name, *host.addresses])} {key}"
        for host in sorted(hosts, key=lambda one: one.name)
        for key in host.host_keys
    ]


def arguments(host: Host, path: Path) -> str:
    """What ssh is told: this file, this name (whatever the address and port), and no other key."""
    # ssh takes several files, separated by spaces, and has its own marks that begin with %.
    file = str(path).replace("%", "%%")
    file = f'"{file}"' if " " in file else file
    options = (f"HostKeyAlias={host.name}", f"UserKnownHostsFile={file}", "StrictHostKeyChecking=yes")
    return " ".join(f"-o {shlex.quote(option)}" for option in options)


def write(path: Path, content: str) -> bool:
    """Put the content there whole, if it is not there already. Whether it was written."""
    try:
        if path.read_text(encoding="utf-8") == content:
            return False
    except OSError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".known_hosts")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
    os.replace(name, path)
    return True
