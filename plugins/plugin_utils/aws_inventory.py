# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From options to an inventory: kept result or cloud, then hosts and groups."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ansible.errors import AnsibleError
from ansible_collections.minato.fleet.plugins.plugin_utils import aws_cache, aws_hosts
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_cache import Result
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_hosts import Host
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import InventoryError, Options


@dataclass
class Inventory:
    """Where hosts go to: Ansible's inventory, the file's directory, the display."""

    data: t.Any
    directory: Path
    display: t.Any

    def warn(self, message: str) -> None:
        self.display.warning(message)


@dataclass
class Store:
    """Where results are kept, if anywhere."""

    fresh: bool
    seconds: int
    cache: t.Any = None
    flush: bool = False

    def load(self, key: str, display: t.Any) -> Result | None:
        if self.cache is None:
            return None
        try:
            if self.flush and key in self.cache:
                del self.cache[key]
            return aws_cache.unpack(self.cache[key])
        except KeyError:
            return None
        except AnsibleError as error:
            display.warning(f"The inventory's cache cannot be read, and is made anew: {error}")
            return None

    def save(self, key: str, result: Result) -> None:
        if self.cache is not None:
            self.cache[key] = aws_cache.pack(result)


def run(
    inventory: Inventory, options: Options, room: Callable[[], t.Any], store: Store, extra: dict[str, t.Any]
) -> None:
    """Fill the inventory."""
    key = f"aws_fleet_{options.digest(*_further(inventory, options, extra))}"
    now = time.time()
    kept = store.load(key, inventory.display)
    if kept is None or not store.fresh or not kept.fresh(now, store.seconds):
        # Here, because a run from the cache needs none of it: reading the code is what costs then.
        from ansible_collections.minato.fleet.plugins.plugin_utils import aws_ask

        kept = aws_ask.asked(inventory.display, options, room(), kept, now)
        store.save(key, kept)
    for name in kept.order:
        if kept.parts[name].stale:
            old = aws_cache.age(now - kept.parts[name].at)
            inventory.warn(f"{name} does not answer: its hosts are those of the last good answer, {old} old.")
    hosts, warnings = aws_hosts.merge((kept.parts[name].hosts for name in kept.order), options.on_error)
    for warning in warnings:
        inventory.warn(warning)
    if options.known_hosts:
        _know(hosts, inventory, options)
    began = time.time()
    aws_hosts.populate(inventory.data, hosts, now)
    inventory.display.vv(f"aws_fleet: {len(hosts)} hosts added in {time.time() - began:.2f} s")


def _further(inventory: Inventory, options: Options, extra: dict[str, t.Any]) -> list[t.Any]:
    """What the result depends on beside the file: expressions see further variables."""
    if not (options.compose or options.groups or options.keyed_groups):
        return []
    return [extra, {name: host.vars for name, host in inventory.data.hosts.items()}]


def _know(hosts: list[Host], inventory: Inventory, options: Options) -> None:
    """Write the host keys, and hold ssh to them."""
    from ansible_collections.minato.fleet.plugins.plugin_utils import aws_known_hosts

    path = inventory.directory / Path(options.known_hosts).expanduser()
    lines = aws_known_hosts.lines(hosts)
    try:
        aws_known_hosts.write(path, "".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise InventoryError(
            f"known_hosts: {path} cannot be written ({error.strerror}). Name another place."
        ) from error
    without = []
    for host in hosts:
        if host.host_keys:
            host.variables.setdefault("ansible_ssh_common_args", aws_known_hosts.arguments(host, path))
        elif host.variables.get("fleet_provider") == "lightsail":
            without.append(host.name)
    if without:
        some = aws_hosts.some(without)
        inventory.warn(
            f"{some}: the cloud has seen no SSH host key yet. The first connection asks, as ssh is set up to."
        )
