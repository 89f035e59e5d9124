"""S1.3: the distribution's own version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

testinfra_hosts = ["ansible://distribution"]

MAJORS = {"bookworm": "18", "trixie": "20"}


def test_an_app_runs_it_from_the_place_of_every_method(host: Any, as_app: Callable[[str, str], str]) -> None:
    major = MAJORS[host.system_info.codename]
    assert as_app(major, "node --version").startswith(f"v{major}.")
    assert as_app(major, "npm --version")
    assert as_app(major, "npx --version")


def test_a_version_that_it_does_not_have_is_refused(host: Any, play_role: Any) -> None:
    refused = play_role("nodejs", {"nodejs_versions": ["22"], "nodejs_method": "distribution"}, hosts="distribution")
    assert refused.returncode != 0
    codename = host.system_info.codename
    message = (
        f"asks for 22, but {codename} has Node.js {MAJORS[codename]}. Ask for that major, or write nodejs_method: npm."
    )
    assert message in refused.stdout
    assert not host.file("/opt/node/22").exists
