"""S1.4, S3.6: environment files as those who read them see them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.filter.dotenv import UnwritableError, quoted
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

testinfra_hosts = ["all"]

ENV = "/opt/medical-api/shared/.env"
MIGRATE_ENV = "/opt/medical-api/migrate.env"
STORE = "/var/lib/minato/generated_secrets/secrets.json"
# A set of its own beside the scenario's, for what the tests write.
PATH = "/opt/medical-api/tried.env"

# The values that people have and that readers of environment files stumble over.
NASTY = {
    "PLAIN": "production",
    "NUMBER": "3000",
    "URL": "postgresql://app_user:p%40ss@db.test:5432/medical_system?sslmode=verify-full",
    "SPACES": "  two  words  ",
    "HASH": "before #after",
    "DOLLAR": "cost $5, $HOME, $(id)",
    "BACKSLASH": r"C:\temp\new\x41",
    "SINGLE_QUOTE": "it's",
    "DOUBLE_QUOTE": 'say "yes"',
    "BACKTICK": "`id`",
    "LINES": "-----BEGIN KEY-----\nabc=\n-----END KEY-----\n",
    "TAB": "a\tb",
    "JAPANESE": "こんにちは 世界",
    "EMOJI": "𠮷 🗻",
    "EQUALS": "a=b=c",
    "TILDE": "~/data",
    "GLOB": "* ? [a] {b,c}",
    "HISTORY": "!! ! !1",
    "JSON": '{"a": ["b", "c"], "d": "e f"}',
    "LOOKS_LIKE_A_LINE": "x\nOTHER=1\n# no comment",
    "SHELL": "a; b && c | d > e < f",
    "RANDOM": "Zm9vYmFyYmF6cXV4+/==",
}

NODE = "/opt/node/20/bin/node"
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

PIECES = [
    "'",
    '"',
    "`",
    "$",
    "${",
    "}",
    "HOME",
    "\\",
    "\\n",
    "#",
    " ",
    "\n",
    "\t",
    "~",
    "=",
    "A=",
    "!",
    ";",
    "日本",
    "𝄞",
]


def writable(value: str) -> bool:
    try:
        quoted(value)
    except UnwritableError:
        return False
    return bool(value.strip())


def generated_values() -> dict[str, str]:
    """What hypothesis thinks of, the same in every run, as far as the filter takes it."""
    found: dict[str, None] = {}
    hard = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)

    @settings(max_examples=3000, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(st.one_of(hard, st.text(max_size=30)))
    def collect(value: str) -> None:
        if writable(value):
            found[value] = None

    collect()
    return {f"GENERATED_{number}": value for number, value in enumerate(found)}


def tried(values: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The role's input for one file of its own set."""
    return {"env_file_set": "tried", "env_file_files": [{"path": PATH, "values": values, **more}]}


def read_all(host: Any, reader: str) -> dict[str, str]:
    return parsed(host.run_expect([0], READERS[reader]).stdout)


def parsed(output: str) -> dict[str, str]:
    return dict(variable.split("=", 1) for variable in output.split("\0") if variable)


def test_every_reader_reads_every_value_as_it_was_written(host: Any, play_role: Any) -> None:
    values = {**NASTY, **generated_values()}
    assert len(values) > 700
    written = play_role("env_file", tried(values))
    assert written.returncode == 0, written.stdout
    for reader in READERS:
        read = read_all(host, reader)
        wrong = {key: (value, read.get(key)) for key, value in values.items() if read.get(key) != value}
        assert not wrong, reader


def test_only_its_owner_reads_a_file(host: Any) -> None:
    file = host.file(ENV)
    assert (file.user, file.group, file.mode) == ("medical-api", "medical-api", 0o600)
    assert host.run(f"runuser -u medical-api -- cat {ENV}").rc == 0
    assert host.run(f"runuser -u nobody -- cat {ENV}").rc != 0


def test_an_app_cannot_read_what_is_for_its_migrations(host: Any) -> None:
    file = host.file(MIGRATE_ENV)
    assert (file.user, file.group, file.mode) == ("root", "root", 0o600)
    assert host.run(f"runuser -u medical-api -- cat {MIGRATE_ENV}").rc != 0


def variables(host: Any, path: str = ENV) -> dict[str, str]:
    """What a shell reads."""
    return parsed(host.run_expect([0], f"env -i sh -c 'set -a; . {path}; exec env -0'").stdout)


def test_values_come_from_vault_parameter_store_and_secrets_manager(host: Any) -> None:
    read = variables(host)
    assert read["DATABASE_URL"] == "postgresql://app_user:kept-in-parameter-store@db.test/medical_system"
    assert read["SENTRY_DSN"] == "https://key@sentry.test/1"
    assert (read["SMTP_USER"], read["SMTP_PASSWORD"]) == ("medical", "kept in Secrets Manager")
    url = variables(host, MIGRATE_ENV)["MIGRATION_DATABASE_URL"]
    assert url == "postgresql://migrator:hunter2@db.test/medical_system"


PARAMETER_STORE = {
    "plugin": "minato.fleet.stored_secrets",
    "term": "/production/",
    "options": {"app": "medical-api", "region": "ap-northeast-1", "endpoint_url": "http://127.0.0.1:5181"},
    "keys": ["DATABASE_URL"],
}
SECRETS_MANAGER = {
    **PARAMETER_STORE,
    "term": "production/",
    "options": {**PARAMETER_STORE["options"], "store": "secretsmanager"},
    "keys": ["SMTP_USER"],
}
NOWHERE = {**PARAMETER_STORE["options"], "endpoint_url": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("lookup", "sentence"),
    [
        (
            {**PARAMETER_STORE, "keys": ["DATABASE_URL", "ABSENT"]},
            "no value for ABSENT: minato.fleet.stored_secrets /production/ has no ABSENT",
        ),
        (
            {**PARAMETER_STORE, "options": NOWHERE},
            (
                "no value for DATABASE_URL: minato.fleet.stored_secrets /production/ failed: Secrets under /production/"
                " from ssm in ap-northeast-1: Could not connect to"
            ),
        ),
        (
            {**SECRETS_MANAGER, "term": "elsewhere/"},
            (
                "no value for SMTP_USER: minato.fleet.stored_secrets elsewhere/ failed: Secrets under elsewhere/ from"
                " secretsmanager in ap-northeast-1: there is nothing of medical-api under elsewhere/"
            ),
        ),
    ],
    ids=["absent parameter", "unreachable", "absent secret"],
)
def test_a_lookup_that_yields_nothing_stops_the_run_before_any_change(
    host: Any, play_role: Any, monkeypatch: pytest.MonkeyPatch, lookup: dict[str, Any], sentence: str
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    before = host.file(PATH).content
    refused = play_role("env_file", tried({"PLAIN": "changed"}, lookups=[lookup], generate=["NEVER_MADE"]), "-vvv")
    assert refused.returncode != 0
    assert f"{PATH}: {sentence}" in refused.stdout
    assert host.file(PATH).content == before
    assert "NEVER_MADE" not in host.file(STORE).content_string


def stored(host: Any) -> dict[str, dict[str, str]]:
    return dict(json.loads(host.file(STORE).content_string))


def test_a_secret_is_made_on_the_host_for_root_and_its_reader_alone(host: Any) -> None:
    secret = variables(host)["JWT_SECRET"]
    assert len(base64.b64decode(secret, validate=True)) == 32
    assert stored(host)[ENV] == {"JWT_SECRET": secret}
    assert (host.file(STORE).user, host.file(STORE).mode) == ("root", 0o600)
    assert host.run(f"runuser -u medical-api -- cat {STORE}").rc != 0


@pytest.fixture
def kept_store(host: Any) -> Iterator[None]:
    """The scenario's own secrets, back after the test."""
    host.run_expect([0], f"cp -p {STORE} /root/secrets.json")
    yield
    host.run_expect([0], f"mv /root/secrets.json {STORE}")


@pytest.mark.usefixtures("kept_store")
def test_a_made_secret_outlives_its_file_and_the_store(host: Any, play_role: Any) -> None:
    """S1.4: nobody is logged out, whichever of the two is lost."""
    wanted = tried({"A": "1"}, generate=["JWT_SECRET", "COOKIE_SECRET"])
    assert play_role("env_file", wanted).returncode == 0
    first = variables(host, PATH)
    assert first["JWT_SECRET"] != first["COOKIE_SECRET"]
    assert "changed=0" in play_role("env_file", wanted).stdout
    for lost in (f"rm {PATH}", f"sed -i s/^JWT_SECRET=.*/JWT_SECRET=sample/ {PATH}", f"rm {STORE}"):
        host.run_expect([0], lost)
        assert play_role("env_file", wanted).returncode == 0
        assert variables(host, PATH) == first, lost
    assert stored(host)[PATH] == {key: first[key] for key in ("JWT_SECRET", "COOKIE_SECRET")}


@pytest.mark.usefixtures("kept_store")
def test_a_file_that_was_there_before_keeps_its_secret(host: Any, play_role: Any) -> None:
    host.run_expect([0], "echo \"export OLD_SECRET='taken over'\" > /opt/medical-api/old.env")
    files = [{"path": "/opt/medical-api/old.env", "generate": ["OLD_SECRET"]}]
    moved = play_role("env_file", {"env_file_set": "old", "env_file_files": files}, "-vvv", "--diff")
    assert moved.returncode == 0, moved.stdout
    assert "/opt/medical-api/old.env: OLD_SECRET was there before and is kept" in moved.stdout
    assert "+/opt/medical-api/old.env: OLD_SECRET (taken over from the file)" in moved.stdout
    assert "taken over'" not in moved.stdout
    assert variables(host, "/opt/medical-api/old.env")["OLD_SECRET"] == "taken over"


@pytest.mark.usefixtures("kept_store")
def test_nothing_is_made_anew_where_the_store_cannot_be_read(host: Any, play_role: Any) -> None:
    host.run_expect([0], f"echo '{{' > {STORE}")
    before = host.file(PATH).content
    refused = play_role("env_file", tried({"A": "2"}, generate=["JWT_SECRET"]))
    assert refused.returncode != 0
    assert f"{STORE} cannot be read: it is damaged" in refused.stdout
    assert host.file(PATH).content == before


def test_check_mode_names_what_it_would_make_and_makes_nothing(host: Any, play_role: Any) -> None:
    told = play_role("env_file", tried({"A": "3"}, generate=["NEW_SECRET"]), "--check", "--diff")
    assert told.returncode == 0, told.stdout
    assert f"+{PATH}: NEW_SECRET (made)" in told.stdout
    assert "NEW_SECRET" not in stored(host).get(PATH, {})
    assert not host.file(PATH).contains("NEW_SECRET")


def test_a_diff_names_keys_and_no_output_holds_a_value(host: Any, play_role: Any) -> None:
    before = {**NASTY, "GONE": "kagi-no-atai-1", "CHANGED": "kagi-no-atai-2"}
    after = {**NASTY, "CHANGED": "kagi-no-atai-3", "LINES": NASTY["LINES"] + "more"}
    runs = [
        play_role("env_file", tried(values, generate=["MADE"], lookups=[PARAMETER_STORE]), "-vvv", "--diff")
        for values in (before, after)
    ]
    made = variables(host, PATH)["MADE"]
    for run in runs:
        assert run.returncode == 0, run.stdout
        assert "changed=1" in run.stdout
        for value in (made, "kagi-no-atai", "hunter2", "kept-in-parameter-store", *long_values()):
            assert value not in run.stdout
            assert base64.b64encode(value.encode()).decode().rstrip("=")[:-1] not in run.stdout
    for line in ("-GONE=(hidden)", "-CHANGED=(hidden)", "+CHANGED=(hidden, changed)", "+LINES=(hidden, changed)"):
        assert line in runs[1].stdout
    assert "EMOJI" not in runs[1].stdout, "a key that did not change"


def long_values() -> list[str]:
    """Values that cannot turn up by chance, as they are and as JSON writes them."""
    plain = [value for key, value in NASTY.items() if key in ("URL", "HASH", "DOLLAR", "LINES", "JAPANESE", "RANDOM")]
    return [*plain, *(json.dumps(value)[1:-1] for value in plain)]


def test_a_value_that_is_missing_stops_the_run_before_any_change(host: Any, play_role: Any) -> None:
    before = host.file(PATH).content
    refused = play_role("env_file", tried({"PLAIN": "staging", "JWT_SECRET": None}), "-vvv")
    assert refused.returncode != 0
    assert f"{PATH}: JWT_SECRET has no value" in refused.stdout
    assert host.file(PATH).content == before


def test_a_value_that_readers_read_differently_is_refused_unseen(host: Any, play_role: Any) -> None:
    before = host.file(PATH).content
    refused = play_role("env_file", tried({"JWT_SECRET": "it's $ecret-word"}), "-vvv")
    assert refused.returncode != 0
    assert f"{PATH}: JWT_SECRET contains a single quote together with a dollar" in refused.stdout
    assert "ecret-word" not in refused.stdout
    assert host.file(PATH).content == before


def test_values_of_the_wrong_shape_are_refused_unseen(play_role: Any) -> None:
    refused = play_role("env_file", {"env_file_files": [{"path": PATH, "values": "kagi-no-atai-4"}]}, "-vvv")
    assert refused.returncode != 0
    assert "kagi-no-atai-4" not in refused.stdout


def test_a_set_that_is_taken_back_leaves_the_files_of_others(host: Any, play_role: Any) -> None:
    for name in ("tried", "old"):
        assert play_role("env_file", {"env_file_set": name}).returncode == 0
    assert not host.file(PATH).exists
    assert host.file(ENV).exists
    assert host.file(MIGRATE_ENV).exists


def test_no_copy_of_a_value_is_left_on_the_host(host: Any) -> None:
    """The set's own books hold no content; temporary directories and the journal neither."""
    places = "/etc /opt /tmp /var /root /run"
    found = host.run(f"grep -rlsF 'hunter2' {places}; journalctl --no-pager -q | grep -F hunter2").stdout.split()
    assert found == [MIGRATE_ENV]
