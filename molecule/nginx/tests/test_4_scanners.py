"""What others' tools find in the configuration and in the running server."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ansible_collections.minato.fleet.molecule.nginx.tests.scanners import gixy

# An answer to each of these is one check of testssl.sh that came to its end.
SOME_CHECKS = {"TLS1", "TLS1_2", "TLS1_3", "HSTS_time", "cert_trust", "heartbleed", "ROBOT", "BREACH", "RC4"}


def test_gixy_has_nothing_to_say(host: Any, tmp_path: Path) -> None:
    """S1.6."""
    assert gixy(host, tmp_path) == []


def test_testssl_finds_nothing_above_low(host: Any, testssl: str) -> None:
    """S1.6: the certificate and its authority included."""
    deadline = time.monotonic() + 300
    while host.check_output(f"systemctl show --value --property SubState {testssl}") == "running":
        assert time.monotonic() < deadline, "testssl.sh has not come to its end"
        time.sleep(1)
    findings = json.loads(host.file("/tmp/testssl.json").content_string)
    host.check_output(f"systemctl stop {testssl}")
    assert {finding["id"].split(" ")[0] for finding in findings} >= SOME_CHECKS
    assert [finding for finding in findings if finding["severity"] in ("MEDIUM", "HIGH", "CRITICAL")] == []
