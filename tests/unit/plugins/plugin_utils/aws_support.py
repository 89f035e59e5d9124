# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options as an inventory file gives them, and Ansible's own templates."""

from __future__ import annotations

import typing as t

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import Constructable
from ansible.template import Templar, trust_as_template
from ansible_collections.minato.fleet.plugins.inventory import aws_fleet
from ansible_collections.minato.fleet.plugins.plugin_utils import aws_constructed, aws_options
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_expressions import Expressions

CONSTRUCTED = {"compose": {}, "groups": {}, "keyed_groups": [], "strict": False, "leading_separator": True}


def defaults() -> dict[str, t.Any]:
    """What the plugin's documentation says of each option."""
    documented = yaml.safe_load(aws_fleet.DOCUMENTATION)["options"]
    return {
        name: documented[name].get("default") if name in documented else CONSTRUCTED[name] for name in aws_fleet.OPTIONS
    }


DEFAULTS = defaults()


def trusted(value: t.Any) -> t.Any:
    """As Ansible reads a file that it was given."""
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [trusted(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value


def options(**said: t.Any) -> aws_options.Options:
    """The options of a file that says this."""
    return aws_options.read({**DEFAULTS, **trusted(said)})


def expressions() -> Expressions:
    """Ours, with Jinja behind them."""

    def evaluate(expression: t.Any, variables: t.Any) -> t.Any:
        return Templar(DataLoader(), dict(variables)).evaluate_expression(trusted(expression))

    def decide(expression: t.Any, variables: t.Any) -> t.Any:
        return Templar(DataLoader(), dict(variables)).evaluate_conditional(trusted(expression))

    return Expressions(evaluate, decide)


def room(chosen: aws_options.Options, existing: dict[str, t.Any] | None = None) -> aws_constructed.Room:
    """Where hosts are built."""

    def named(value: t.Any, filters: str) -> t.Any:
        templar = Templar(DataLoader(), {"hostname": value})
        return templar.evaluate_expression(trust_as_template(f"hostname | {filters}"))

    def text(template: t.Any, variables: t.Any) -> t.Any:
        return Templar(DataLoader(), dict(variables)).template(template)

    return aws_constructed.Room(chosen, expressions(), named, text, lambda name: (existing or {}).get(name, {}))


class Constructed(Constructable):
    """Ansible's own way to groups and variables."""

    def __init__(self, inventory: t.Any, leading_separator: bool = True) -> None:
        super().__init__()
        self.inventory = inventory
        self.loader = DataLoader()
        self._said = {"leading_separator": leading_separator, "use_extra_vars": False}

    def get_option(self, option: str, hostvars: t.Any = None) -> t.Any:
        return self._said[option]

    def keyed(self, entries: t.Any, variables: dict[str, t.Any], host: str, strict: bool) -> None:
        self._add_host_to_keyed_groups(trusted(entries), variables, host, strict)
