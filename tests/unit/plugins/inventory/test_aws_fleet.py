# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plugin against the emulated cloud, over HTTP: hosts, cache, faults."""

from __future__ import annotations

import json
import os
import stat
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.minato.fleet.plugins.plugin_utils import aws_cache, contract, schemas
from ansible_collections.minato.fleet.tests.unit.plugins.inventory.conftest import ROOT, Cloud, Inventory

REGIONS = ["ap-northeast-1", "eu-west-1", "us-east-1"]
HERE = Path(__file__).parent
FAULTS = yaml.safe_load((HERE / "faults.yml").read_text(encoding="utf-8"))
HOSTS = [
    *("api-1", "api-2", "batch-1", "batch-2", "batch-3", "batch-4", "medical-1", "medical-2", "medical-db", "site-1"),
    "voice-db",
]


def test_every_kind_of_host(inventory: Inventory) -> None:
    read = inventory(regions=REGIONS, hostnames=["name"])
    assert read.hosts() == HOSTS
    groups = read.groups()
    assert groups["type_node"] == ["api-1", "api-2", "medical-1", "medical-2"]
    assert groups["type_web"] == ["api-1", "medical-1", "medical-2", "site-1"]
    assert groups["type_database"] == ["medical-db", "voice-db"]
    assert groups["app_medical_api"] == ["medical-1", "medical-2"]
    assert groups["provider_lightsail"] == ["medical-1", "medical-2", "site-1"]
    assert groups["bundle_small_2_0"] == ["medical-1"]
    assert groups["instance_type_db_t3_micro"] == ["voice-db"]
    assert groups["region_eu_west_1"] == ["api-1", "api-2", "site-1", "voice-db"]
    expected = yaml.safe_load((HERE / "variables.yml").read_text(encoding="utf-8"))
    for name, variables in expected.items():
        found = read.variables(name)
        assert {key: found.get(key) for key in variables} == variables


def test_variables_are_few(inventory: Inventory) -> None:
    read = inventory(regions=REGIONS, hostnames=["name"], known_hosts="known_hosts")
    sizes = {name: len(json.dumps(read.variables(name))) for name in read.hosts()}
    assert max(sizes.values()) <= 1200, sizes
    full = inventory(regions=REGIONS, hostnames=["name"], full_facts=True)
    assert full.variables("api-1")["network_interfaces"][0]["private_ip_address"] == "10.0.0.21"
    assert full.variables("medical-1")["networking"]["ports"]


def test_secrets_are_kept_nowhere(inventory: Inventory, tmp_path: Path) -> None:
    said = {"regions": REGIONS, "hostnames": ["name"], "full_facts": True, "cache": True, "known_hosts": "known_hosts"}
    read = inventory(**said)
    told = json.dumps([read.variables(name) for name in read.hosts()], default=str)
    (kept,) = (tmp_path / "cache").iterdir()
    parts = aws_cache.unpack(json.loads(json.loads(kept.read_text())["__payload__"]))
    for text in (told, str(parts), (tmp_path / "known_hosts").read_text()):
        assert "medical-1" in text
        for secret in ("password", "PRIVATE KEY", "private_key", "cert_key"):
            assert secret not in text, secret


def test_our_variables_are_taken_for_no_others(inventory: Inventory) -> None:
    """The contract calls a variable that is nearly one of the fleet's misspelt: ours must not be."""
    read = inventory(regions=REGIONS, hostnames=["name"], health=True)
    ours = {key for name in read.hosts() for key in read.variables(name) if key.startswith("fleet_")}
    known = schemas.schema()["properties"]
    assert ours & set(known) == {"fleet_app_names", "fleet_memory_mb"}
    assert {name: schemas.nearest(name, known, 0.85) for name in ours - set(known)} == dict.fromkeys(ours - set(known))
    assert contract  # the rule itself stands there


def test_the_clouds_text_is_never_a_template(inventory: Inventory) -> None:
    read = inventory(
        regions=REGIONS,
        hostnames=["name"],
        compose={"team": "tags.Team", "owner": "tags.owner"},
        keyed_groups=[{"key": "tags.Team", "prefix": "team"}],
        groups={"mine": "'7' in tags.Team"},
    )
    variables = read.manager.hosts["api-1"].vars
    assert variables["team"] == "{{ 7 * 7 }}"
    assert "team____7___7___" in read.groups()
    assert read.groups()["mine"] == ["api-1"]
    templar = Templar(DataLoader(), dict(variables))
    for name in ("team", "fleet_tags"):
        assert "49" not in str(templar.template(variables[name]))
    assert any("api-1: a tag has template marks" in warning for warning in read.warnings)


def test_a_warm_run_asks_nothing_and_says_the_same(inventory: Inventory, cloud: Cloud, tmp_path: Path) -> None:
    said = {"regions": REGIONS, "hostnames": ["name"], "cache": True, "known_hosts": "known_hosts"}
    cold = inventory(**said)
    assert cloud.calls() > 0
    (tmp_path / "known_hosts").unlink()
    warm = inventory(**said)
    assert cloud.calls() == 0
    assert warm.groups() == cold.groups()
    assert list(warm.manager.hosts) == list(cold.manager.hosts)
    assert [warm.variables(name) for name in warm.hosts()] == [cold.variables(name) for name in cold.hosts()]
    assert "medical-1" in (tmp_path / "known_hosts").read_text()
    inventory(**said, flush=True)
    assert cloud.calls() > 0
    warm.manager.refresh_inventory()
    assert cloud.calls() > 0
    inventory(**{**said, "filters": {"env": "staging"}})
    assert cloud.calls() > 0, "another question had the cached answer to this one"


def test_a_cache_that_is_old_or_broken_is_made_anew(inventory: Inventory, cloud: Cloud, tmp_path: Path) -> None:
    said = {"services": ["lightsail"], "regions": REGIONS[:1], "cache": True, "cache_timeout": 1}
    inventory(**said)
    time.sleep(1.1)
    cloud.calls()
    inventory(**said)
    assert cloud.calls() > 0
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text("{")
    assert inventory(**said).hosts() == ["medical-1", "medical-2"]
    assert aws_cache.unpack({"aws_fleet": "x"}) is None


def test_a_region_that_is_down_is_stood_in_for(inventory: Inventory, cloud: Cloud) -> None:
    said = {"regions": REGIONS, "hostnames": ["name"], "retries": 0, "timeout": 2, "stale_ok": 3600}
    before = inventory(**said)
    for fault in ("unavailable", "throttled", "reset"):
        cloud.fault(fault, region="eu-west-1")
        read = inventory(**said)
        assert read.hosts() == before.hosts()
        assert "eu-west-1 does not answer: its hosts are those of the last good answer" in " ".join(read.warnings)
        cloud.mend()
    cloud.fault("unavailable", region="eu-west-1")
    assert "lightsail in eu-west-1" in inventory(**said, flush=True).failure(), "a flushed cache was used"
    cloud.mend()
    assert inventory(**said).hosts() == before.hosts()
    cloud.fault("bad_credentials", region="eu-west-1")
    assert "does not accept the credentials" in inventory(**said).failure(), "wrong keys are no outage"


def test_what_is_kept_is_for_so_long(inventory: Inventory, cloud: Cloud) -> None:
    said = {"services": ["ec2"], "regions": REGIONS[1:], "hostnames": ["name"], "retries": 0, "cache": True}
    patient, strict = inventory(**said, stale_ok=3600), inventory(**said, stale_ok=1)
    time.sleep(1.2)
    cloud.fault("unavailable", region="eu-west-1")
    assert "eu-west-1" in strict.refresh().failure()
    assert inventory(**said, stale_ok=1).hosts() == patient.hosts(), "what is fresh needs no region"
    inventory(**said, stale_ok=3600)
    assert "last good answer, " in " ".join(patient.refresh().warnings)
    assert len(patient.hosts()) == 6


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case["case"])
def test_fault(case: dict[str, t.Any], inventory: Inventory, cloud: Cloud) -> None:
    if "faults" in case:
        for fault in case["faults"]:
            cloud.fault(**fault)
    said = {"regions": REGIONS, "hostnames": ["name"], "retries": 0, "timeout": 1, **case.get("says", {})}
    for name, value in case.get("environment", {}).items():
        os.environ[name] = value
    began = time.monotonic()
    read = inventory(**said)
    assert time.monotonic() - began < case.get("within", 20)
    if "fails" in case:
        assert read.failure().startswith(case["fails"]), read.failure()
        assert read.hosts() == []
    else:
        assert read.hosts() == [name for name in HOSTS if name not in case.get("without", [])]
    for sentence in case.get("warns", []):
        assert any(sentence in warning for warning in read.warnings), read.warnings


def test_every_region_that_is_enabled(inventory: Inventory, cloud: Cloud) -> None:
    read = inventory(regions=["all"], region="us-east-1", hostnames=["name"], services=["ec2", "lightsail"])
    assert read.hosts() == [name for name in HOSTS if not name.endswith("-db")]
    assert any("not enabled: " in warning and "me-south-1" in warning for warning in read.warnings), read.warnings
    asked = {(call["service"], call["region"]) for call in cloud.control("GET", "/calls")}
    assert ("ec2", "me-south-1") not in asked
    assert ("ec2", "us-west-1") in asked
    assert ("lightsail", "us-west-1") not in asked, "Lightsail is not there"


def test_the_profiles_region_is_the_default(inventory: Inventory, cloud: Cloud, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile here]\nregion = eu-west-1\naws_access_key_id = a\naws_secret_access_key = b\n")
    os.environ["AWS_CONFIG_FILE"] = str(config)
    read = inventory(profile="here", hostnames=["name"])
    assert read.hosts() == ["api-1", "api-2", "site-1", "voice-db"]
    assert "No region is named" in inventory(hostnames=["name"]).failure()


def test_several_accounts(inventory: Inventory, cloud: Cloud, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile one]\naws_access_key_id = a\naws_secret_access_key = b\n")
    os.environ["AWS_CONFIG_FILE"] = str(config)
    role = "arn:aws:iam::222222222222:role/inventory"
    cloud.control(
        "POST",
        "/fleet",
        {"accounts": {"222222222222": {"regions": {"eu-west-1": {"lightsail": {"instances": [{"name": "far-1"}]}}}}}},
    )
    said = {"regions": ["eu-west-1"], "hostnames": ["name"], "services": ["lightsail"]}
    read = inventory(accounts=[{"profile": "one"}, {"name": "far", "role_arn": role}], **said)
    assert read.hosts() == ["far-1", "site-1"]
    assert read.groups()["account_one"] == ["site-1"]
    assert read.variables("far-1")["fleet_account"] == "far"


def test_known_hosts(inventory: Inventory, cloud: Cloud, tmp_path: Path) -> None:
    read = inventory(regions=REGIONS[:1], services=["lightsail"], known_hosts="keys/known_hosts")
    path = tmp_path / "keys/known_hosts"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF8GqkevQkCPFsSQ0Qwl7+gmE1DeAkkmLA5KObqDaOMQ"
    assert f"medical-1,203.0.113.10,172.26.0.10,2001:db8::10 {key}" in lines
    arguments = read.variables("medical-1")["ansible_ssh_common_args"]
    assert arguments == f"-o HostKeyAlias=medical-1 -o UserKnownHostsFile={path} -o StrictHostKeyChecking=yes"
    assert "PRIVATE" not in path.read_text(encoding="utf-8")
    own = inventory(
        regions=REGIONS[:1],
        services=["lightsail"],
        known_hosts="keys/known_hosts",
        compose={"ansible_ssh_common_args": "'-v'"},
    )
    assert own.variables("medical-1")["ansible_ssh_common_args"] == "-v"


def test_pages_and_order_change_nothing(inventory: Inventory, cloud: Cloud) -> None:
    said = {"hostnames": ["name"], "keyed_groups": [{"key": "tags.Role", "prefix": "role"}]}
    first = inventory(regions=REGIONS, **said)
    for size, workers, regions in ((1, 1, REGIONS[::-1]), (2, 3, REGIONS), (0, 16, [REGIONS[1], *REGIONS])):
        cloud.control("PATCH", "/settings", {"page_size": size, "latency": {"eu-west-1": 0.05}})
        read = inventory(regions=regions, workers=workers, **said)
        assert list(read.manager.hosts) == list(first.manager.hosts)
        assert list(read.manager.groups) == list(first.manager.groups)
        assert read.groups() == first.groups()
        assert [read.variables(name) for name in HOSTS] == [first.variables(name) for name in HOSTS]


def test_how_to_connect(inventory: Inventory) -> None:
    ways = {"env_staging": "private_ipv4", "provider_ec2": "ssm", "default": ["ipv6", "public_ipv4"]}
    read = inventory(regions=REGIONS, hostnames=["name"], connect_with=ways)
    assert read.variables("medical-2")["ansible_host"] == "172.26.0.11"
    assert read.variables("medical-1")["ansible_host"] == "2001:db8::10"
    assert read.variables("site-1")["ansible_host"].count(":") > 1
    one = read.variables("api-1")
    assert one["ansible_connection"] == "amazon.aws.aws_ssm"
    assert one["ansible_aws_ssm_instance_id"].startswith("i-")
    assert "ansible_host" not in one


def test_filters(inventory: Inventory, cloud: Cloud) -> None:
    def hosts(**said: t.Any) -> list[str]:
        return inventory(regions=REGIONS, hostnames=["name"], **said).hosts()

    assert hosts(filters={"env": "staging"}) == ["api-2", "medical-2"]
    assert hosts(filters={"app": "medical-api"}) == ["medical-1", "medical-2", "medical-db"]
    assert hosts(filters={"tag:Role": "ba*"}, include_stopped=True) == [*HOSTS[2:6], "old"]
    assert hosts(filters={"type": "web", "lightsail": {"bundle": "small_2_?"}}) == ["api-1", "medical-1"]
    assert hosts(include_filters=[{"name": "api-?"}, {"tag:Role": "batch"}], exclude_filters=[{"name": "*-3"}]) == [
        *HOSTS[:4],
        "batch-4",
    ]
    assert hosts(filters={"instance-state-name": "stopped"}) == ["idle", "old"]
    assert hosts(filters={"rds": {"engine": "mysql"}, "ec2": {"vpc-id": "none"}}) == HOSTS[6:10]


def test_the_host_of_a_catalog(inventory: Inventory, tmp_path: Path) -> None:
    apps = [{"name": name} for name in ("medical-api", "staff-site")]
    (tmp_path / "apps.yml").write_text(yaml.safe_dump({"fleet_apps": apps}), encoding="utf-8")
    said = {"regions": REGIONS, "hostnames": ["name"], "catalog": "apps.yml"}
    failure = inventory(**said).failure()
    assert "the tag apps: voicedrive-api is not an app of the catalog. Add it to fleet_apps" in failure
    assert inventory(**said, services=["lightsail"]).hosts() == ["medical-1", "medical-2", "site-1"]
    assert inventory(**said, on_error="warn").hosts() == HOSTS


def test_the_file_is_ours_by_its_name(inventory: Inventory) -> None:
    for name in ("aws_fleet.yml", "production.aws_fleet.yaml", "x.fleet.yaml"):
        assert inventory(regions=REGIONS[:1], services=["lightsail"], file=name).hosts() == ["medical-1", "medical-2"]
    assert inventory(regions=REGIONS[:1], services=["lightsail"], file="other.yml").hosts() == []
    assert ROOT.is_dir()
