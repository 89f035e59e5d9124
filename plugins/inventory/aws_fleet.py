# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: aws_fleet
short_description: Hosts and databases of AWS Lightsail, EC2 and RDS
version_added: 0.1.0
author: The minato.fleet maintainers (@minato-fleet)
description:
  - One inventory for Lightsail instances, EC2 instances, Lightsail databases and RDS databases, over many regions
    and accounts at once.
  - The file's name ends in C(fleet.yml), C(fleet.yaml), C(aws_fleet.yml) or C(aws_fleet.yaml).
  - Options that C(amazon.aws.aws_ec2) has as well mean the same; C(docs/inventory.md) lists both side by side.
  - What the cloud says is never templated.
requirements:
  - python >= 3.11
  - botocore >= 1.34.0
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Marks the file as this plugin's.
    type: str
    required: true
    choices: [minato.fleet.aws_fleet]
  services:
    description: What to ask for. All four where nothing is said.
    type: list
    elements: str
    choices: [lightsail, ec2, lightsail_database, rds]
    default: [lightsail, ec2, lightsail_database, rds]
  regions:
    description:
      - Where to ask. The region of O(region), the environment or the profile where nothing is said.
      - V(all) asks every region that is enabled for the account, and warns of those that are not.
      - Lightsail is left out where it does not exist.
    type: list
    elements: str
    default: []
  region:
    description: The region where O(regions) names none.
    type: str
    aliases: [aws_region]
    env:
      - name: AWS_REGION
  accounts:
    description:
      - Several accounts, each by a profile, by a role to take on, or by a role to take on with a profile.
      - Their hosts have C(fleet_account) and are in the group C(account_) followed by the name.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: How to call it. The profile, or the role's account number, where nothing is said.
        type: str
      profile:
        description: A profile of the AWS configuration.
        type: str
      role_arn:
        description: A role to take on.
        type: str
      external_id:
        description: The external id that the role's trust policy asks for.
        type: str
  profile:
    description: A profile of the AWS configuration.
    type: str
    aliases: [aws_profile]
    env:
      - name: AWS_PROFILE
      - name: AWS_DEFAULT_PROFILE
  access_key:
    description: The access key's id, where no profile is named.
    type: str
    aliases: [aws_access_key_id, aws_access_key]
    env:
      - name: AWS_ACCESS_KEY_ID
      - name: AWS_ACCESS_KEY
  secret_key:
    description: The access key's secret.
    type: str
    aliases: [aws_secret_access_key, aws_secret_key]
    env:
      - name: AWS_SECRET_ACCESS_KEY
      - name: AWS_SECRET_KEY
  session_token:
    description: The token of temporary credentials.
    type: str
    aliases: [aws_session_token]
    env:
      - name: AWS_SESSION_TOKEN
  assume_role_arn:
    description: A role to take on. For several, see O(accounts).
    type: str
    aliases: [iam_role_arn]
  endpoint_url:
    description: Where to ask instead of AWS, for an emulated cloud.
    type: str
    aliases: [aws_endpoint_url]
    env:
      - name: AWS_URL
      - name: AWS_ENDPOINT_URL
  filters:
    description:
      - Which instances and databases are hosts, in EC2's filter language. Every filter must hold, each by one of
        its values; C(*) and C(?) are wild.
      - Filters stand under the name of a service, or directly below, where they hold for every service. What a
        service does not know matches nothing.
      - Our own filters cost no call - C(name), C(env), C(type), C(app), C(provider), C(region), C(account),
        C(bundle), C(static-ip).
    type: dict
    default: {}
  include_filters:
    description: A list of filters, as in O(filters). A host matches one of them, or O(filters).
    type: list
    elements: dict
    default: []
  exclude_filters:
    description: A list of filters. What matches one of them is no host.
    type: list
    elements: dict
    default: []
  include_stopped:
    description: Whether instances and databases that are stopped are hosts. A filter for C(instance-state-name)
      decides by itself.
    type: bool
    default: false
  strict_permissions:
    description: Whether a service that the credentials may not ask is an error. Otherwise it is left out.
    type: bool
    default: true
  hostnames:
    description:
      - How hosts are called, in order of preference, in the syntax of C(amazon.aws.aws_ec2) - names of EC2's
        filters, C(tag:Name), C(tag:Name=Value),
        a text that stands for itself, Jinja filters after C(|), or mappings of C(name), C(prefix) and C(separator).
      - C(name) is the name that the cloud shows, on EC2 the tag C(Name).
      - Where nothing is said, C(dns-name) and C(private-dns-name) for EC2, and the resource's own name for the
        others.
    type: list
    elements: raw
    default: []
  allow_duplicated_hosts:
    description: Whether a host appears under every name that applies, and not only under the first.
    type: bool
    default: false
  connect_with:
    description:
      - Which address is C(ansible_host) - V(public_ipv4), V(private_ipv4), V(ipv6), V(dns), or V(ssm) for a
        connection through the Systems Manager.
      - A list is tried in its order. A mapping says it by group; the first of its groups that a host is in
        decides, then C(default).
      - The first address a host has of public IPv4, private IPv4 and IPv6 where nothing is said.
    type: raw
  details:
    description:
      - What to learn by further calls. V(hardware) is one call for each region with EC2 instances, V(ports) another,
        V(prices) one for each region with Lightsail, V(snapshots) one for each Lightsail instance with automatic
          snapshots,
        V(disks) lists the volumes of EC2.
    type: list
    elements: str
    choices: [hardware, ports, prices, snapshots, disks]
    default: [hardware, ports, prices, snapshots]
  health:
    description: Whether to ask for the status checks of Lightsail instances, which become C(fleet_health).
    type: bool
    default: false
  known_hosts:
    description:
      - A file to write the SSH host keys of Lightsail instances to, as the cloud has seen them. One call for each
        instance.
      - Hosts with keys get C(ansible_ssh_common_args) that hold SSH to them. A host without keys is left to SSH's
        own settings.
      - Relative to the inventory file.
    type: str
  known_apps:
    description: The names of all apps. A tag C(apps) that names another one is an error.
    type: list
    elements: str
  catalog:
    description: A YAML file with C(fleet_apps), to take O(known_apps) from. Relative to the inventory file.
    type: str
  full_facts:
    description: Whether hosts get every fact of the cloud's answer, and not only the slim ones. Expressions see
      every fact in any case.
    type: bool
    default: false
  built_in_groups:
    description: Whether to make groups of provider, region, account, environment, type, app, and instance type or
      bundle.
    type: bool
    default: true
  hostvars_prefix:
    description: Put before the names of the cloud's facts. The C(fleet_*) variables keep theirs.
    type: str
  hostvars_suffix:
    description: Put behind the names of the cloud's facts.
    type: str
  use_ssm_inventory:
    description: Whether to ask the Systems Manager what it knows of EC2 instances, as C(ssm_inventory).
    type: bool
    default: false
  route53_enabled:
    description: Whether EC2 instances are called as records of Route 53 call them.
    type: bool
    default: false
  route53_hostnames:
    description: Only names that end so are taken from Route 53.
    type: list
    elements: str
    default: []
  route53_excluded_zones:
    description: Zones of Route 53 to leave out.
    type: list
    elements: str
    default: []
  on_error:
    description:
      - V(fail) stops at the first trouble. V(warn) goes on without the region, and tells two hosts of one name
        apart by their ids.
    type: str
    choices: [fail, warn]
    default: fail
  stale_ok:
    description:
      - For how many seconds the last good answer of a region may stand in where the region does not answer. A
        warning gives its age.
      - The answers are kept where the cache is, with or without O(cache).
    type: int
    default: 0
  workers:
    description: How many regions to ask at once.
    type: int
    default: 32
  timeout:
    description: How many seconds one call may take.
    type: float
    default: 10
  region_timeout:
    description: How many seconds one service of one region may take, with all its calls and retries.
    type: float
    default: 60
  retries:
    description: How often a call is repeated that was throttled or not answered.
    type: int
    default: 3
  cache_plugin:
    description: The cache plugin. One that keeps nothing between runs is of little use here.
    default: ansible.builtin.jsonfile
  cache_connection:
    description: Where it keeps things. What begins with C(./) or C(../) is relative to the inventory file.
    default: ~/.cache/ansible/aws_fleet
notes:
  - C(docs/inventory.md) of the collection lists the variables and groups that hosts have.
"""

EXAMPLES = r"""
# inventories/production/aws.fleet.yml: hosts are called as in the cloud's console.
plugin: minato.fleet.aws_fleet
regions: [ap-northeast-1]
hostnames: [name]
cache: true
cache_timeout: 300
stale_ok: 86400
known_hosts: known_hosts

---
# Two accounts, one by its own profile and one by a role; production is reached by its private addresses.
plugin: minato.fleet.aws_fleet
regions: [all]
accounts:
  - profile: staging
  - name: production
    role_arn: arn:aws:iam::123456789012:role/inventory
connect_with:
  account_production: private_ipv4
  default: [public_ipv4, ipv6]
filters:
  env: [staging, production]
  ec2:
    instance-type: t4g.*

---
# What was written for amazon.aws.aws_ec2 goes on working.
plugin: minato.fleet.aws_fleet
services: [ec2]
regions: [us-east-1, us-west-2]
filters:
  tag:Environment: [dev, qa]
hostnames:
  - tag:Name
  - private-dns-name
keyed_groups:
  - key: tags.Role
    prefix: role
  - key: placement.region
    prefix: aws_region
compose:
  ansible_host: private_ip_address
"""

import functools
import gc
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible import context
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable, get_cache_plugin
from ansible.template import trust_as_template
from ansible_collections.minato.fleet.plugins.plugin_utils import aws_inventory, aws_options

SUFFIXES = ("fleet.yml", "fleet.yaml")
TEMPLATED = (
    *("access_key", "secret_key", "session_token", "profile", "endpoint_url", "assume_role_arn", "region", "regions"),
    *("filters", "accounts", "known_apps", "known_hosts", "catalog"),
)
OPTIONS = (
    *TEMPLATED,
    *("services", "include_filters", "exclude_filters", "include_stopped", "strict_permissions", "hostnames"),
    *("allow_duplicated_hosts", "connect_with", "details", "health", "full_facts", "built_in_groups"),
    *("hostvars_prefix", "hostvars_suffix", "compose", "groups", "keyed_groups", "strict", "leading_separator"),
    *("use_ssm_inventory", "route53_enabled", "route53_hostnames", "route53_excluded_zones", "on_error", "workers"),
    *("timeout", "region_timeout", "retries", "stale_ok"),
)


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Reads the file and hands over; what is asked and built is worked out in plugin_utils."""

    NAME = "minato.fleet.aws_fleet"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(SUFFIXES)

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache=cache)
        self._read_config_data(path)
        try:
            options = aws_options.read(self._raw_options(path))
            with _without_collections():
                aws_inventory.run(
                    aws_inventory.Inventory(inventory, Path(path).resolve().parent, self.display),
                    options,
                    functools.partial(self._room, options),
                    self._store(options, Path(path).resolve().parent, fresh=cache),
                    self._extra(),
                )
        except aws_options.InventoryError as error:
            raise AnsibleParserError(str(error)) from None
        except ImportError as error:
            raise AnsibleParserError(f"{error}. Install the Python library botocore on the controller.") from None

    def _raw_options(self, path: str) -> dict[str, t.Any]:
        raw = {name: self.get_option(name) for name in OPTIONS}
        for name in TEMPLATED:
            raw[name] = self.templar.template(raw[name])
        if raw["catalog"] and raw["known_apps"] is None:
            place = Path(path).resolve().parent / raw["catalog"]
            apps = (self.loader.load_from_file(str(place)) or {}).get("fleet_apps")
            if not isinstance(apps, list):
                raise AnsibleParserError(f"catalog: {place} has no list fleet_apps. Name the file that has it.")
            raw["known_apps"] = [app.get("name") for app in apps]
        return raw

    def _extra(self) -> dict[str, t.Any]:
        return dict(self._vars) if self.get_option("use_extra_vars") else {}

    def _room(self, options: aws_options.Options) -> t.Any:
        """What builds hosts, with Ansible's templates at hand."""
        from ansible_collections.minato.fleet.plugins.plugin_utils.aws_constructed import Room
        from ansible_collections.minato.fleet.plugins.plugin_utils.aws_expressions import Expressions

        extra = self._extra()

        def evaluate(expression: t.Any, variables: t.Any) -> t.Any:
            self.templar.available_variables = {**variables, **extra}
            return self.templar.evaluate_expression(expression)

        def decide(expression: t.Any, variables: t.Any) -> t.Any:
            self.templar.available_variables = variables
            return self.templar.evaluate_conditional(expression)

        def text(template: t.Any, variables: t.Any) -> t.Any:
            self.templar.available_variables = {**variables, **extra}
            return self.templar.template(template)

        def named(value: t.Any, filters: str) -> t.Any:
            return evaluate(trust_as_template(f"hostname | {filters}"), {"hostname": value})

        return Room(options, Expressions(evaluate, decide, extra), named, text, self._existing)

    def _existing(self, name: str) -> dict[str, t.Any]:
        """What earlier inventory files say of a host."""
        host = self.inventory.hosts.get(name)
        return dict(host.vars) if host else {}

    def _store(self, options: aws_options.Options, directory: Path, fresh: bool) -> aws_inventory.Store:
        caching = bool(self.get_option("cache"))
        seconds = int(self.get_option("cache_timeout"))
        store = aws_inventory.Store(caching and fresh, seconds)
        if caching or options.stale_ok:
            keep = 0 if caching and seconds == 0 else max(seconds if caching else 0, options.stale_ok)
            where = str(self.get_option("cache_connection") or "")
            where = str(directory / where) if where.startswith(("./", "../")) else where
            settings = {"_uri": where, "_timeout": keep}
            if self.get_option("cache_prefix"):
                settings["_prefix"] = self.get_option("cache_prefix")
            self._cache = store.cache = get_cache_plugin(self.get_option("cache_plugin"), **settings)
            store.flush = bool(context.CLIARGS.get("flush_cache")) and not fresh
        return store


@contextmanager
def _without_collections() -> Iterator[None]:
    """Python looks for garbage again and again while many objects are made; here all of them stay."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if before:
            gc.enable()
