# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of each deploy: a line of JSON each, in a file that only grows at its end.

A line is there whole or not at all: it is written in one go, and what a full disk cut off is taken back.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from typing import Any

MOST, KEEP = 1100, 1000  # lines: with more than the one, the file is cut down to the other
REASON_LENGTH = 500  # characters


class HistoryError(Exception):
    """Nothing was written. The text says why."""


def person(holder: str) -> str:
    """``ono@desk`` of ``ono@desk, process 7``."""
    return holder.partition(",")[0]


def reason(text: str) -> str:
    """The first line of what was said that says anything."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:REASON_LENGTH] if lines else ""


def append(path: str, entry: dict[str, Any], mode: int) -> None:
    """Add a line, on disk when this returns. ``mode``: the file's permissions. Raises HistoryError."""
    text = json.dumps(entry, ensure_ascii=False) + "\n"
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            _add(handle, text.encode("utf-8", "replace"), mode)
        finally:
            os.close(handle)
    except OSError as error:
        raise HistoryError(f"{path} did not get its line: {error.strerror}") from None


def _add(handle: int, line: bytes, mode: int) -> None:
    fcntl.flock(handle, fcntl.LOCK_EX)
    known = os.fstat(handle)
    if not stat.S_ISREG(known.st_mode):
        raise OSError(0, "it is no file")
    if stat.S_IMODE(known.st_mode) != mode:
        os.fchmod(handle, mode)
    torn = known.st_size and os.pread(handle, 1, known.st_size - 1) != b"\n"
    whole = (b"\n" if torn else b"") + line
    try:
        written = os.write(handle, whole)
        if written != len(whole):
            raise OSError(0, "the disk is full")
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, known.st_size)
        raise


def cut(path: str, most: int = MOST, keep: int = KEEP) -> None:
    """Keep the last lines of a file that has become long. Nobody else may be writing to it."""
    with open(path, "rb") as stream:
        lines = stream.readlines()
    if len(lines) <= most:
        return
    fresh = path + ".new"
    if os.path.lexists(fresh):
        os.unlink(fresh)
    with open(fresh, "xb") as stream:
        os.fchmod(stream.fileno(), stat.S_IMODE(os.stat(path).st_mode))
        stream.writelines(lines[-keep:])
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(fresh, path)
