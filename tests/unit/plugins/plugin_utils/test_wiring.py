"""From the catalog to each role's input, case by case, through the filters as playbooks call them."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.minato.fleet.plugins.filter.fleet import FilterModule

HERE = Path(__file__).parent
CASES = yaml.safe_load((HERE / "wiring_cases.yml").read_text(encoding="utf-8"))
FILTERS = FilterModule().filters()


@pytest.fixture
def fleet() -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", yaml.safe_load((HERE / "fleet.yml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join([case["filter"], *case.get("apps", [])]))
def test_filter(case: dict[str, t.Any], fleet: dict[str, t.Any]) -> None:
    apps = FILTERS["select_apps"](fleet["fleet_apps"], case.get("apps", ["medical-api", "voicedrive-api"]))
    further = [fleet.get(name, name) if isinstance(name, str) else name for name in case.get("with", [])]
    assert FILTERS[case["filter"]](apps, *further) == case["gives"]


@pytest.mark.parametrize(
    ("name", "given"), [("voicedrive-api", "pm2_apps"), ("morizo-aiv2", "systemd_units")], ids=["PM2", "systemd"]
)
def test_what_is_started_beside_another_is_warmed_up(name: str, given: str, fleet: dict[str, t.Any]) -> None:
    apps = FILTERS["select_apps"](fleet["fleet_apps"], [name])
    for path, asked in (("", "/health"), ("/warm-up", "/warm-up")):
        apps[0]["warm_up_path"] = path
        for slots, wanted in ((["a"], [""]), (["a", "b"], [asked, asked])):
            urls = [each["warm_up_url"] for each in FILTERS[given](apps, {name: slots})]
            assert ["/" + url.rpartition("/")[2] if url else "" for url in urls] == wanted


def test_a_build_on_the_controller_is_given_the_environment_and_no_secret(fleet: dict[str, t.Any]) -> None:
    fleet["fleet_apps"][0]["build_on"] = "controller"
    apps = FILTERS["select_apps"](fleet["fleet_apps"], ["medical-api"])
    (release,) = FILTERS["app_releases"](apps)
    assert (release["build_on"], release["node_version"]) == ("controller", "20")
    assert release["build_env"] == {"NODE_ENV": "production", "DEBUG": "false"}


def test_ca_certificates(fleet: dict[str, t.Any]) -> None:
    assert FILTERS["ca_certificates"](fleet["databases"]) == [
        {"name": "medical-db", "content": "-----BEGIN CERTIFICATE-----"}
    ]


def test_who_reaches_a_database(fleet: dict[str, t.Any]) -> None:
    hosts = {"db": [], "web": ["voicedrive-api"], "two": ["medical-api"], "one": ["voicedrive-api", "medical-api"]}
    assert FILTERS["database_clients"](fleet["fleet_apps"], "medical-db", hosts) == ["two", "one"]
    assert FILTERS["database_clients"](fleet["fleet_apps"], "other-db", hosts) == []


def test_a_shared_schema_is_one_schema(fleet: dict[str, t.Any]) -> None:
    medical, voicedrive, *_others = fleet["fleet_apps"]
    voicedrive["database"] = {**medical["database"], "user": "social_user"}
    apps = FILTERS["select_apps"](fleet["fleet_apps"], ["medical-api", "voicedrive-api"])
    (database,) = FILTERS["postgres_databases"](apps, "medical-db")
    grants = {"app_user": "read_write", "social_user": "read_write"}
    assert database["schemas"] == [{"name": "medical", "owner": "medical_migrator", "grants": grants}]
    assert database["connect"] == ["medical_migrator", "app_user", "social_user"]
    assert [index["name"] for index in database["indexes"]] == ["staff_active"]


def test_schemas_of_two_systems_and_a_common_one(fleet: dict[str, t.Any]) -> None:
    """S2.7: each reads and writes its own and the common one, and is granted nothing in the other's."""
    medical, voicedrive, *_others = fleet["fleet_apps"]
    medical["database"]["shared_schemas"] = ["common"]
    names = {"schema": "social", "user": "social_user", "migrator": "social_migrator", "schemas": ["common"]}
    voicedrive["database"] = {**medical["database"], **names, "shared_schemas": [], "indexes": []}
    apps = FILTERS["select_apps"](fleet["fleet_apps"], ["medical-api", "voicedrive-api"])
    (database,) = FILTERS["postgres_databases"](apps, "medical-db")
    assert {schema["name"]: (schema["owner"], set(schema["grants"])) for schema in database["schemas"]} == {
        "medical": ("medical_migrator", {"app_user"}),
        "social": ("social_migrator", {"social_user"}),
        "common": ("social_migrator", {"social_user", "app_user"}),
    }
    assert database["search_path"]["social_user"] == ["social"]


def test_select_apps_takes_the_hosts_order(fleet: dict[str, t.Any]) -> None:
    apps = FILTERS["select_apps"](fleet["fleet_apps"], ["voicedrive-api", "medical-api"])
    assert [app["name"] for app in apps] == ["voicedrive-api", "medical-api"]


def test_select_apps_refuses_an_unknown_name(fleet: dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleFilterError, match=r"medical-apo is not an app .+ Write medical-api instead"):
        FILTERS["select_apps"](fleet["fleet_apps"], ["medical-apo"])


def test_a_secret_without_a_value_is_named(fleet: dict[str, t.Any]) -> None:
    apps = FILTERS["select_apps"](fleet["fleet_apps"], ["medical-api"])
    with pytest.raises(AnsibleFilterError, match="medical-api: the secret JWT_SECRET has no value"):
        FILTERS["env_files"](apps, {"medical-api": {"JWT_SECRET": ""}}, fleet["databases"])


def test_redis_without_a_password_is_named(fleet: dict[str, t.Any]) -> None:
    apps = FILTERS["select_apps"](fleet["fleet_apps"], ["morizo-aiv2"])
    with pytest.raises(
        AnsibleFilterError, match=r"morizo-aiv2: it uses Redis, and its host has no fleet_redis.password"
    ):
        FILTERS["env_files"](apps, {}, {})


@pytest.mark.parametrize(
    ("app", "slot", "ports"),
    [("medical-api", "a", [3000]), ("voicedrive-api", "b", [3101]), ("morizo-aiv2", "b", [8100, 8101])],
)
def test_the_ports_of_a_slot(fleet: dict[str, t.Any], app: str, slot: str, ports: list[int]) -> None:
    assert FILTERS["slot_ports"](FILTERS["select_apps"](fleet["fleet_apps"], [app])[0], slot) == ports


@pytest.mark.parametrize(
    ("live", "further", "slots"),
    [
        ({"medical-api": "a", "new": None}, [], {"medical-api": ["a"], "new": []}),
        ({"medical-api": "a"}, ["medical-api", "b"], {"medical-api": ["a", "b"]}),
        ({"medical-api": "a"}, ["medical-api", "a"], {"medical-api": ["a"]}),
        ({"medical-api": "b", "new": None}, ["new", "a"], {"medical-api": ["b"], "new": ["a"]}),
        ({}, ["new", "a"], {"new": ["a"]}),
    ],
)
def test_the_slots_that_apps_run_in(
    live: dict[str, str | None], further: list[str], slots: dict[str, list[str]]
) -> None:
    assert FILTERS["running"](live, *further) == slots


@pytest.mark.parametrize(
    ("route", "path", "status"),
    [
        ({}, "/health", "200"),
        ({"path": "/api/", "strip_prefix": True}, "/api/health", "200"),
        ({"path": "/api/"}, "/api/", "(?!404|421)[1-4]"),
    ],
)
def test_what_an_app_is_asked_from_outside(
    fleet: dict[str, t.Any], route: dict[str, t.Any], path: str, status: str
) -> None:
    apps = [{**fleet["fleet_apps"][0], "routes": [{"host": "api.medical.test", **route}]}]
    app = FILTERS["select_apps"](apps, ["medical-api"])[0]
    assert FILTERS["probe"](app) == {"name": "api.medical.test", "path": path, "status": status}


def test_an_artifact_is_handed_on_and_nothing_is_installed(fleet: dict[str, t.Any]) -> None:
    artifact = {"path": "/srv/medical-api.tar.gz", "sha256": "0" * 64}
    app = {**fleet["fleet_apps"][0], "artifact": artifact, "hooks": {"before_switch": {"command": "true"}}}
    del app["repository"]
    given = FILTERS["app_releases"](FILTERS["select_apps"]([app], ["medical-api"]))[0]
    assert (given["artifact"], given["repository"], given["install"], given["build"]) == (artifact, "", "", "")
    assert given["hooks"] == {"before_switch": {"command": "true", "timeout": 60}}


def test_every_filter_of_the_wiring_has_a_case() -> None:
    elsewhere = {"ca_certificates", "database_clients", "probe", "running", "slot_ports"}
    tested = {case["filter"] for case in CASES} | elsewhere
    assert {name for name, each in FILTERS.items() if each.__module__.endswith(".wiring")} == tested
