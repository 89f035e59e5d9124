# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An emulated cloud over HTTP, and inventory plugins that read it as Ansible makes them."""

from __future__ import annotations

import importlib
import json
import sys
import typing as t
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from ansible import context
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.utils.context_objects import CLIArgs
from ansible.utils.display import Display
from ansible_collections.minato.fleet.tests.aws.server import running

ROOT = Path(__file__).parents[4]
PLUGINS = "ansible_collections.minato.fleet.plugins.inventory"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_CONFIG_FILE": "none"}


@pytest.fixture(scope="session")
def served() -> Iterator[str]:
    """A running cloud."""
    init_plugin_loader([str(ROOT / ".ansible/collections")])
    # pytest has imported the collection as plain Python; Ansible's loader wants to know that it is one, and to import
    # plugins itself.
    for name in [name for name in sys.modules if name.startswith(PLUGINS)]:
        del sys.modules[name]
    vars(importlib.import_module("ansible_collections.minato.fleet")).setdefault("_collection_meta", {})
    with running() as url:
        yield url


@dataclass
class Cloud:
    """The cloud's own path: its fleet, its faults, the calls that came."""

    url: str

    def control(self, method: str, path: str, body: t.Any = None) -> t.Any:
        """Ask it."""
        sent = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_cloud{path}", sent, method=method)) as answer:
            return json.load(answer)

    def fault(self, fault: str, **where: t.Any) -> None:
        """Let something go wrong from now on."""
        self.control("POST", "/faults", {"fault": fault, **where})

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        self.control("DELETE", "/faults")

    def calls(self) -> int:
        """How many calls came since this was asked last."""
        count = sum(call["count"] for call in self.control("GET", "/calls"))
        self.control("DELETE", "/calls")
        return t.cast("int", count)


@pytest.fixture(scope="module")
def fleet(served: str) -> Iterator[Cloud]:
    """The cloud with the fleet of this directory: made once, because EC2 takes its time."""
    cloud = Cloud(served)
    cloud.control("POST", "/reset")
    cloud.control("POST", "/fleet", yaml.safe_load(Path(__file__).with_name("fleet.yml").read_text(encoding="utf-8")))
    yield cloud
    cloud.control("POST", "/reset")


@pytest.fixture
def cloud(fleet: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cloud]:
    """The fleet, with nothing wrong and nothing counted."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**KEYS, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    fleet.calls()
    yield fleet
    fleet.mend()
    fleet.control("PATCH", "/settings", {"page_size": 0, "latency": {}})


@dataclass
class Read:
    """What Ansible made of an inventory file."""

    manager: InventoryManager
    warnings: list[str]
    _said: list[str]

    def refresh(self) -> Read:
        """As `meta: refresh_inventory` does."""
        self._said.clear()
        self.manager.refresh_inventory()
        return Read(self.manager, list(self._said), self._said)

    def hosts(self) -> list[str]:
        return sorted(self.manager.hosts)

    def variables(self, name: str) -> dict[str, t.Any]:
        """A host's variables, without those that Ansible adds to each."""
        given = dict(self.manager.hosts[name].vars)
        return {key: value for key, value in given.items() if key not in ("inventory_dir", "inventory_file")}

    def groups(self) -> dict[str, list[str]]:
        """Hosts by group, the two that Ansible always has left out."""
        found = {name: sorted(host.name for host in group.get_hosts()) for name, group in self.manager.groups.items()}
        return {name: hosts for name, hosts in found.items() if name not in ("all", "ungrouped")}

    def failure(self) -> str:
        """The sentence with which our plugin refused."""
        marker = "Failed to parse inventory with 'auto' plugin"
        found = [warning for warning in self.warnings if warning.startswith(marker)]
        assert found, self.warnings
        return found[0].removeprefix(marker).lstrip(".: ")


Inventory = Callable[..., Read]


@pytest.fixture
def inventory(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """Read an inventory file with some content, as `ansible-inventory` does."""
    warnings: list[str] = []

    def warn(_display: t.Any, msg: str, *_more: t.Any, **_further: t.Any) -> None:
        warnings.append(str(msg))

    def broke(_display: t.Any, msg: str, exception: BaseException, **_further: t.Any) -> None:
        warnings.append(f"{msg} {exception}")

    monkeypatch.setattr(Display, "warning", warn)
    monkeypatch.setattr(Display, "error_as_warning", broke)

    def read(plugin: str = "minato.fleet.aws_fleet", flush: bool = False, file: str = "", **content: t.Any) -> Read:
        content = {"plugin": plugin, "endpoint_url": cloud.url, **content}
        if plugin == "minato.fleet.aws_fleet":
            content.setdefault("cache_connection", str(tmp_path / "cache"))
        suffix = "fleet.yml" if plugin == "minato.fleet.aws_fleet" else "aws_ec2.yml"
        path = tmp_path / (file or f"test.{suffix}")
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        warnings.clear()
        context.CLIARGS = CLIArgs({"flush_cache": flush})
        manager = InventoryManager(DataLoader(), sources=[str(path)], cache=not flush)
        return Read(manager, list(warnings), warnings)

    return read
