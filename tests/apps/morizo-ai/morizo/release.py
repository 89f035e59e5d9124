"""What a deploy wrote about this release."""

from __future__ import annotations

import json
from pathlib import Path


def read_release(directory: Path) -> dict[str, str | None]:
    """Id and commit; empty where nothing was deployed."""
    try:
        found = json.loads((directory / "RELEASE.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = {}
    return {"release": found.get("id"), "commit": found.get("commit")}
