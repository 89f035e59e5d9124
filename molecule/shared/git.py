"""Gives the git server of a scenario a further commit.

Import it as ansible_collections.minato.fleet.molecule.shared.git.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from base64 import b64encode
from pathlib import Path

# What a checkout has and the repository has not.
LEFT_OUT = {"node_modules", ".next", ".env", "__pycache__"}


def push(container: str, repository: str, source: Path, changes: dict[str, str | None]) -> str:
    """Commit the tree of ``source`` with some files changed (None: removed) to the branch main; gives the commit."""
    tree = {
        str(path.relative_to(source)): path.read_text(encoding="utf-8")
        for path in source.rglob("*")
        if path.is_file() and not LEFT_OUT & set(path.relative_to(source).parts)
    }
    wanted = {name: text for name, text in {**tree, **changes}.items() if text is not None}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in wanted.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    command = ["docker", "exec", "-i", container, "git-import", repository]
    done = subprocess.run(command, input=b64encode(archive.getvalue()), capture_output=True, check=True)
    return done.stdout.decode().split()[0]


def address(container: str) -> str:
    """The server's address, for a controller that does not know its name."""
    shape = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return subprocess.check_output(["docker", "inspect", "-f", shape, container], text=True).strip()
