# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases of a host's apps, as a table for people."""

from __future__ import annotations

import typing as t

Item = t.Mapping[str, t.Any]
HEAD = ("release", "state", "slot", "version", "committed", "author", "size", "processes")


def release_table(apps: t.Sequence[Item]) -> list[str]:
    """A line for each release, the newest first, below its app's name.

    Args:
        apps: What the module release_info found, in detail.
    """
    lines: list[str] = []
    for app in apps:
        lines += [str(app["name"]), *_columns([HEAD, *map(_row, app["releases"])])]
        lines += [f"  bad     {each['id']}: {_first(each['reason'])}" for each in app["releases"] if each["reason"]]
        lines += [f"  stale   process {each['pid']} runs in {each['directory']}" for each in app["stale"]]
    return lines


def _row(release: Item) -> tuple[str, ...]:
    size = f"{release['size_mb']} MB" if release["size_mb"] is not None else "-"
    told = (release[key] or "-" for key in ("id", "state", "slot", "version", "committed_at", "author"))
    return (*map(str, told), size, " ".join(map(str, release["running"])) or "-")


def _columns(rows: t.Sequence[t.Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _first(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason was written down"
