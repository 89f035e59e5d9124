# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The community's own Lightsail modules, unchanged, on the emulated cloud."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.minato.fleet.tests.unit.aws.emulated import KEYS, REGION, holds

INSTANCE = {"name": "web-1", "zone": f"{REGION}a", "blueprint_id": "ubuntu_24_04", "bundle_id": "nano_3_0"}
PORTS = [{"from_port": 443, "to_port": 443, "protocol": "tcp", "cidrs": ["0.0.0.0/0"], "ipv6_cidrs": ["::/0"]}]
RUNNING = {"instance": {"state": {"code": 16, "name": "running"}}}
STOPPED = {"instance": {"state": {"code": 80, "name": "stopped"}}}
MISSING = {"failed": True, "error": {"code": "NotFoundException"}}
# Module, arguments, whether it changes something, and what its result has.
STEPS: list[tuple[str, dict[str, Any], bool, dict[str, Any]]] = [
    ("lightsail", INSTANCE, True, {"instance": {"name": "web-1", "bundle_id": "nano_3_0"}}),
    ("lightsail", INSTANCE, False, RUNNING),
    ("lightsail", {**INSTANCE, "public_ports": PORTS}, True, {}),
    ("lightsail", {**INSTANCE, "public_ports": PORTS}, False, {}),
    ("lightsail_static_ip", {"name": "web-1-ip"}, True, {"static_ip": {"is_attached": False}}),
    ("lightsail_static_ip", {"name": "web-1-ip"}, False, {"static_ip": {"name": "web-1-ip"}}),
    (
        "lightsail",
        {"name": "web-1", "state": "stopped"},
        True,
        STOPPED,
    ),
    ("lightsail", {"name": "web-1", "state": "stopped"}, False, {}),
    (
        "lightsail",
        {"name": "web-1", "state": "running"},
        True,
        RUNNING,
    ),
    ("lightsail", {"name": "web-1", "state": "rebooted"}, True, {}),
    ("lightsail_snapshot", {"snapshot_name": "patch-1", "instance_name": "web-1"}, True, {}),
    ("lightsail_snapshot", {"snapshot_name": "patch-1", "instance_name": "web-1"}, False, {}),
    ("lightsail_snapshot", {"snapshot_name": "patch-1", "state": "absent"}, True, {}),
    ("lightsail_snapshot", {"snapshot_name": "patch-1", "state": "absent"}, False, {}),
    ("lightsail_static_ip", {"name": "web-1-ip", "state": "absent"}, True, {}),
    ("lightsail", {"name": "web-1", "state": "absent"}, True, {}),
    ("lightsail", {"name": "web-1", "state": "absent"}, False, {}),
    (
        "lightsail",
        {"name": "web-1", "state": "running"},
        False,
        MISSING,
    ),
]


def test_the_communitys_modules(cloud: str) -> None:
    settings = {**KEYS, "aws_endpoint_url": cloud, "aws_region": REGION}
    ran = subprocess.run(
        [sys.executable, Path(__file__).with_name("run_modules.py")],
        input=json.dumps([[name, arguments] for name, arguments, *_rest in STEPS]),
        env={**os.environ, **{name.upper(): value for name, value in settings.items()}},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    for step, result in zip(STEPS, json.loads(ran.stdout), strict=True):
        _name, _arguments, changed, wanted = step
        assert result.get("failed", False) == wanted.get("failed", False), (step, result)
        assert result.get("changed", False) is changed, (step, result)
        assert holds(wanted, result), (step, result)
