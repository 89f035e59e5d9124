"""S1.4, S3.6: environment files as those who read them see them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

testinfra_hosts = ["all"]

PATH = "/opt/medical-api/shared/.env"
VARIABLES = yaml.safe_load((Path(__file__).parents[1] / "vars/main.yml").read_text(encoding="utf-8"))
NASTY = {key: str(value) for key, value in VARIABLES["nasty"].items()}
FILES = [{**VARIABLES["env_file_files"][0], "values": NASTY}, VARIABLES["env_file_files"][1]]

NODE = "/srv/readers/node_modules/.bin/node"
# Each prints the variables that it read, a null byte after each.
READERS = {
    "Node's dotenv": (
        f'cd /srv/readers && {NODE} -e "for (const [k, v] of Object.entries('
        f"require('dotenv').parse(require('fs').readFileSync('{PATH}')))) process.stdout.write(k + '=' + v + '\\0')\""
    ),
    "node --env-file": (
        f"env -i {NODE} --env-file={PATH} -e "
        "\"for (const [k, v] of Object.entries(process.env)) process.stdout.write(k + '=' + v + '\\0')\""
    ),
    "Python's dotenv": (
        "python3 -c \"import dotenv; [print(k, v, sep='=', end='\\0') for k, v in "
        f"dotenv.dotenv_values('{PATH}').items()]\""
    ),
    "systemd": f"systemd-run --quiet --wait --pipe -p EnvironmentFile={PATH} env -0",
    "a shell": f"env -i sh -c 'set -a; . {PATH}; exec env -0'",
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_reads_every_value_as_it_was_written(host: Any, reader: str) -> None:
    output = host.run_expect([0], READERS[reader]).stdout
    read = dict(variable.split("=", 1) for variable in output.split("\0") if variable)
    assert {key: read.get(key) for key in NASTY} == NASTY


def test_only_its_owner_reads_a_file(host: Any) -> None:
    file = host.file(PATH)
    assert (file.user, file.group, file.mode) == ("medical-api", "medical-api", 0o600)
    assert host.run(f"runuser -u medical-api -- cat {PATH}").rc == 0
    assert host.run(f"runuser -u nobody -- cat {PATH}").rc != 0


def test_an_app_cannot_read_what_is_for_its_migrations(host: Any) -> None:
    file = host.file("/opt/medical-api/migrate.env")
    assert (file.user, file.group, file.mode) == ("root", "root", 0o600)
    assert host.run("runuser -u medical-api -- cat /opt/medical-api/migrate.env").rc != 0


def changed(**values: Any) -> list[dict[str, Any]]:
    return [{**FILES[0], "values": {**NASTY, **values}}, FILES[1]]


def test_a_diff_names_keys_and_no_output_holds_a_value(play_role: Any) -> None:
    migration = {**FILES[1], "values": {"MIGRATION_DATABASE_URL": "kagi-no-atai-1", "BRAND_NEW": "kagi-no-atai-2"}}
    shown = play_role("env_file", {"env_file_files": [FILES[0], migration]}, "-vvv", "--diff")
    restored = play_role("env_file", {"env_file_files": FILES}, "-vvv", "--diff")
    for run in (shown, restored):
        assert run.returncode == 0, run.stdout
        assert "changed=1" in run.stdout
        assert "MIGRATION_DATABASE_URL" in run.stdout
        assert "BRAND_NEW" in run.stdout
        assert "EMOJI" not in run.stdout, "a key that did not change"
        for value in ("kagi-no-atai-1", "kagi-no-atai-2", "hunter2", *long_values()):
            assert value not in run.stdout
            assert base64.b64encode(value.encode()).decode().rstrip("=")[:-1] not in run.stdout


def long_values() -> list[str]:
    """Values that cannot turn up by chance, as they are and as JSON writes them."""
    plain = [value for key, value in NASTY.items() if key in ("URL", "HASH", "DOLLAR", "LINES", "JAPANESE", "RANDOM")]
    return [*plain, *(json.dumps(value)[1:-1] for value in plain)]


@pytest.mark.parametrize("nothing", [None, "", "  "], ids=["null", "empty", "blank"])
def test_a_value_that_is_missing_stops_the_run_before_any_change(host: Any, play_role: Any, nothing: Any) -> None:
    before = host.file(PATH).content
    refused = play_role("env_file", {"env_file_files": changed(PLAIN="staging", JWT_SECRET=nothing)}, "-vvv")
    assert refused.returncode != 0
    assert f"{PATH}: JWT_SECRET has no value" in refused.stdout
    assert host.file(PATH).content == before


def test_a_value_that_readers_read_differently_is_refused_unseen(host: Any, play_role: Any) -> None:
    before = host.file(PATH).content
    refused = play_role("env_file", {"env_file_files": changed(JWT_SECRET="it's $ecret-word")}, "-vvv")
    assert refused.returncode != 0
    assert f"{PATH}: JWT_SECRET contains a single quote together with a dollar" in refused.stdout
    assert "ecret-word" not in refused.stdout
    assert host.file(PATH).content == before


def test_values_of_the_wrong_shape_are_refused_unseen(play_role: Any) -> None:
    refused = play_role("env_file", {"env_file_files": [{**FILES[0], "values": "kagi-no-atai-3"}]}, "-vvv")
    assert refused.returncode != 0
    assert "kagi-no-atai-3" not in refused.stdout


def test_no_copy_of_a_value_is_left_on_the_host(host: Any) -> None:
    """The set's own books hold no content; temporary directories and the journal neither."""
    places = "/etc /opt /tmp /var /root /run"
    found = host.run(f"grep -rlsF 'hunter2' {places}; journalctl --no-pager -q | grep -F hunter2").stdout.split()
    assert found == ["/opt/medical-api/migrate.env"]
