"""The list of releases, as a person reads it."""

from __future__ import annotations

from typing import Any

from ansible_collections.minato.fleet.plugins.plugin_utils.release_table import release_table


def release(number: str, **told: Any) -> dict[str, Any]:
    known = {"state": "ready", "slot": None, "version": "main", "committed_at": "2026-11-20T09:00:00+09:00"}
    return {**known, "id": number, "author": "Ono", "size_mb": 84, "running": [], "reason": "", **told}


def test_each_release_is_a_line_in_columns() -> None:
    active = release("0007-bbbbbbbbbbbb", state="active", slot="b", running=[4711, 4718])
    bad = release("0006-aaaaaaaaaaaa", state="bad", size_mb=None, reason="it ended with exit code 7\nand more")
    lines = release_table([{"name": "medical-api", "releases": [active, bad], "stale": []}])
    assert lines == [
        "medical-api",
        "  release            state   slot  version  committed                  author  size   processes",
        "  0007-bbbbbbbbbbbb  active  b     main     2026-11-20T09:00:00+09:00  Ono     84 MB  4711 4718",
        "  0006-aaaaaaaaaaaa  bad     -     main     2026-11-20T09:00:00+09:00  Ono     -      -",
        "  bad     0006-aaaaaaaaaaaa: it ended with exit code 7",
    ]


def test_a_process_where_it_should_not_be_is_told() -> None:
    stale = {"pid": 12, "release": "0001-aaaaaaaaaaaa", "directory": "/opt/web/releases/0001-aaaaaaaaaaaa"}
    lines = release_table([{"name": "web", "releases": [], "stale": [stale]}])
    assert lines[-1] == "  stale   process 12 runs in /opt/web/releases/0001-aaaaaaaaaaaa"
