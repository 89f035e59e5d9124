"""What the tests of the three methods share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

AsApp = Callable[[str, str], str]


@pytest.fixture
def as_app(host: Any) -> AsApp:
    """Output of a command run by an app's user with the given major first in its PATH."""

    def run(major: str, command: str) -> str:
        result = host.run(f"runuser -u medical-api -- env PATH=/opt/node/{major}/bin:/usr/bin:/bin {command}")
        assert result.rc == 0, result.stderr
        return str(result.stdout).strip()

    return run
