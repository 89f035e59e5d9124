"""Tools that judge a configuration.

Import it as ansible_collections.minato.fleet.molecule.nginx.tests.scanners.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any


def gixy(host: Any, place: Path) -> list[Any]:
    """What gixy finds in the configuration that the host's nginx reads, all files of it."""
    dump = place / "nginx.conf"
    dump.write_text(host.check_output("nginx -T 2>/dev/null"), encoding="utf-8")
    done = subprocess.run(["gixy", "--format", "json", str(dump)], capture_output=True, text=True, check=False)
    assert "Switched to parse nginx configuration dump" in done.stderr, done.stderr
    findings: list[Any] = json.loads(done.stdout)
    return findings
