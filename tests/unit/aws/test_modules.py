# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The community's own Lightsail modules, unchanged, on the emulated cloud."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
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


def run(capsys: pytest.CaptureFixture[str], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    module = importlib.import_module(f"ansible_collections.community.aws.plugins.modules.{name}")
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_the_communitys_modules(
    cloud: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**KEYS, "aws_endpoint_url": cloud, "aws_region": REGION}.items():
        monkeypatch.setenv(name.upper(), value)
    for number, (name, arguments, changed, wanted) in enumerate(STEPS):
        result = run(capsys, name, arguments)
        assert result.get("failed", False) == wanted.get("failed", False), (number, result)
        assert result.get("changed", False) is changed, (number, name, arguments, result)
        assert holds(wanted, result), (number, result)
