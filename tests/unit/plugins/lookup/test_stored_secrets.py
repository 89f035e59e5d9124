"""The fleet's secrets from SSM Parameter Store and Secrets Manager, over HTTP from the emulated cloud."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import boto3
import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible_collections.minato.fleet.plugins.lookup import stored_secrets
from ansible_collections.minato.fleet.tests.aws.server import running

REGION = "ap-northeast-1"
ROOT = Path(__file__).parents[4]
WANTED = {"medical-api": {"JWT_SECRET": "a=1 日本", "DATABASE_PASSWORD": "b"}, "medical-db": {"ADMIN_PASSWORD": "c"}}


@pytest.fixture(scope="module")
def cloud() -> t.Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def look_up(cloud: str, prefix: str, **options: str) -> t.Any:
    name = "minato.fleet.stored_secrets"
    described = yaml.safe_load(stored_secrets.DOCUMENTATION)["options"]
    constants.config.initialize_plugin_configuration_definitions("lookup", name, described)
    lookup = stored_secrets.LookupModule()
    lookup._load_name = name
    return lookup.run([prefix], region=REGION, endpoint_url=cloud, **options)[0]


def put_parameters(cloud: str, values: dict[str, str]) -> None:
    client = boto3.client("ssm", region_name=REGION, endpoint_url=cloud)
    for name, value in values.items():
        client.put_parameter(Name=name, Value=value, Type="SecureString")


def put_secrets(cloud: str, values: dict[str, str]) -> None:
    client = boto3.client("secretsmanager", region_name=REGION, endpoint_url=cloud)
    for name, value in values.items():
        client.create_secret(Name=name, SecretString=value)


def test_a_parameter_for_each_secret(cloud: str) -> None:
    flat = {f"/one/{app}/{name}": value for app, secrets in WANTED.items() for name, value in secrets.items()}
    put_parameters(cloud, {**flat, "/another/medical-api/JWT_SECRET": "of another fleet"})
    assert look_up(cloud, "/one/") == WANTED
    assert look_up(cloud, "/one") == WANTED


def test_the_secrets_of_one_app(cloud: str) -> None:
    put_parameters(cloud, {"/apps/medical-api/TOKEN": "a", "/apps/medical-api-2/TOKEN": "b"})
    put_secrets(cloud, {"apps/medical-api": '{"TOKEN": "c"}', "apps/medical-api-2": '{"TOKEN": "d"}'})
    assert look_up(cloud, "/apps/", app="medical-api") == {"TOKEN": "a"}
    assert look_up(cloud, "apps/", app="medical-api", store="secretsmanager") == {"TOKEN": "c"}
    with pytest.raises(AnsibleLookupError, match="there is nothing of medical under /apps/"):
        look_up(cloud, "/apps/", app="medical")


def test_more_parameters_than_a_page(cloud: str) -> None:
    put_parameters(cloud, {f"/many/app/NAME_{number}": str(number) for number in range(25)})
    assert look_up(cloud, "/many/") == {"app": {f"NAME_{number}": str(number) for number in range(25)}}


def test_an_object_for_each_app(cloud: str) -> None:
    put_secrets(cloud, {f"one/{app}": json.dumps(secrets) for app, secrets in WANTED.items()})
    put_secrets(cloud, {"one-more/medical-api": '{"JWT_SECRET": "of another fleet"}'})
    assert look_up(cloud, "one/", store="secretsmanager") == WANTED


@pytest.mark.parametrize(
    ("prefix", "values", "says"),
    [
        ("/none/", {}, "there is nothing under /none/. Lay it out as /none/APP/NAME"),
        ("/deep/", {"/deep/app/a/b": "s3cret"}, "/deep/app/a/b does not fit. Lay it out as /deep/APP/NAME"),
        ("/text/", {"/text/app": "s3cret"}, "/text/app is no JSON object. Lay it out as /text/APP/NAME"),
        ("/list/", {"/list/app": '["s3cret"]'}, "/list/app is no JSON object. Lay it out as /list/APP/NAME"),
    ],
)
def test_what_does_not_fit_is_named_without_its_value(
    cloud: str, prefix: str, values: dict[str, str], says: str
) -> None:
    put_parameters(cloud, values)
    with pytest.raises(AnsibleLookupError) as caught:
        look_up(cloud, prefix)
    assert says in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_store_that_does_not_answer(cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(AnsibleLookupError, match=r"from ssm in ap-northeast-1: .+ Check the region, the credentials"):
        look_up("http://127.0.0.1:9", "/one/")


def test_a_run_shows_no_value_at_any_verbosity(cloud: str, tmp_path: Path) -> None:
    put_parameters(cloud, {"/shown/app/TOKEN": "t0p-s3cret"})
    expression = (
        f"{{{{ lookup('minato.fleet.stored_secrets', '/shown/', region='{REGION}', endpoint_url='{cloud}') }}}}"
    )
    tasks = [
        {"name": "Keep", "ansible.builtin.set_fact": {"kept": expression}, "no_log": True},
        {"name": "Use", "ansible.builtin.assert": {"that": "kept.app.TOKEN | length == 10"}},
    ]
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    home = {"ANSIBLE_HOME": str(ROOT / ".ansible"), "ANSIBLE_LOCALHOST_WARNING": "false"}
    command = ["ansible-playbook", "-vvvvv", "-i", "localhost,", "-c", "local", str(playbook)]
    run = subprocess.run(command, env={**os.environ, **home}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "t0p-s3cret" not in run.stdout + run.stderr
