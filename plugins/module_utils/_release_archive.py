# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The archive of a release: seen to be the one that is meant, and unpacked so that nothing lands outside of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import zlib

CHUNK = 1 << 20  # bytes


class ArchiveError(Exception):
    """The archive is not what it should be. The text says what is wrong with it."""


def sha256(path: str) -> str:
    """The checksum of a file, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def check_sum(path: str, wanted: str) -> None:
    """Raise ArchiveError where the file is another one."""
    found = sha256(path)
    if found != wanted:
        raise ArchiveError(
            f"the archive that came has the SHA-256 {found}, and not {wanted}. It was not unpacked: remove it where it"
            " comes from (app_artifacts), and run again"
        )


def unpack(path: str, directory: str) -> None:
    """Unpack files, directories and links into a directory that is empty and nobody else's.

    Modes are reduced to whether a file may be executed; owners are not taken over. Raises ArchiveError for anything
    that would land, or lead, outside the directory, and for what is neither file, directory nor link.
    """
    root = os.path.realpath(directory)
    links = []
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = os.path.normpath(member.name)
                if name != ".":
                    _write(archive, member, name, root)
                    links += [name] if member.issym() else []
    except (tarfile.TarError, zlib.error, EOFError, KeyError) as error:
        raise ArchiveError(f"the archive cannot be read: {error}") from None
    outside = leading_out(root, links)
    if outside:
        raise ArchiveError(f"the archive has {outside[0]}, a link that leads out of the release")


def leading_out(root: str, links: list[str]) -> list[str]:
    """The links, of those given by their paths below ``root``, that lead to something outside of it."""
    return [name for name in links if not _inside(os.path.realpath(os.path.join(root, name)), root)]


def _inside(path: str, root: str) -> bool:
    return (path + os.sep).startswith(root + os.sep)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, root: str) -> None:
    target = os.path.normpath(os.path.join(root, name))
    parent = os.path.dirname(target)
    if os.path.isabs(name) or not _inside(target, root) or os.path.realpath(parent) != parent:
        raise ArchiveError(f"the archive has {member.name}, which leads out of the release")
    os.makedirs(parent, 0o750, exist_ok=True)
    if os.path.lexists(target) and not (member.isdir() and os.path.isdir(target) and not os.path.islink(target)):
        raise ArchiveError(f"the archive has {member.name} twice")
    if member.isdir():
        os.makedirs(target, 0o750, exist_ok=True)
    elif member.issym():
        os.symlink(member.linkname, target)
    elif member.isreg() or member.islnk():
        _write_file(archive, member, target)
    else:
        raise ArchiveError(f"the archive has {member.name}, which is neither a file, a directory nor a link")


def _write_file(archive: tarfile.TarFile, member: tarfile.TarInfo, target: str) -> None:
    """A second name of an earlier file becomes a file of its own."""
    source = archive.extractfile(member)
    if source is None:
        raise ArchiveError(f"the archive has {member.name}, which leads to no file")
    with source, open(target, "xb") as stream:
        shutil.copyfileobj(source, stream, CHUNK)
        os.fchmod(stream.fileno(), 0o750 if member.mode & 0o111 else 0o640)
    os.utime(target, (member.mtime, member.mtime))
