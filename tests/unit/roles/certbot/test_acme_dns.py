# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The DNS hook against the emulated cloud: the same promises for both providers."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from ansible_collections.minato.fleet.tests.aws import dns
from ansible_collections.minato.fleet.tests.aws.lightsail import lightsail_backends
from ansible_collections.minato.fleet.tests.aws.server import serve
from moto.route53.models import route53_backends

ROOT = Path(__file__).resolve().parents[4]
HOOK = ROOT / "roles/certbot/files/usr/local/lib/fleet/acme_dns.py"
NAME = "_acme-challenge.app.test"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("acme_dns", HOOK)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


acme_dns = _load()


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    """A running cloud."""
    server = serve("127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the hook would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(acme_dns, "time", SimpleNamespace(sleep=slept.append, monotonic=time.monotonic))
    return slept


@pytest.fixture(params=["route53", "lightsail"])
def provider(request: pytest.FixtureRequest, cloud: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A provider that holds the zones app.test and in.app.test."""
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    lightsail_backends.clear()
    route53_backends.clear()
    client = boto3.client(request.param, endpoint_url=cloud, region_name="us-east-1")
    for zone in ("app.test", "in.app.test"):
        if request.param == "route53":
            client.create_hosted_zone(Name=zone, CallerReference=zone)
        else:
            client.create_domain(domainName=zone)
    return acme_dns.provider_of({"provider": request.param, "endpoint_url": cloud})


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, naps: list[float]) -> Callable[..., None]:
    """Call the hook as certbot does."""

    def call(action: str, provider: Any, value: str, domain: str = "app.test", remaining: int = 0) -> None:
        monkeypatch.setenv("CERTBOT_DOMAIN", domain)
        monkeypatch.setenv("CERTBOT_VALIDATION", value)
        monkeypatch.setenv("CERTBOT_REMAINING_CHALLENGES", str(remaining))
        if action == "auth":
            acme_dns.auth(provider, {"propagation": 60})
        else:
            acme_dns.cleanup(provider)

    return call


def held(name: str = NAME) -> dict[str, list[str]]:
    """The TXT values of a name, by zone."""
    found = {}
    for zone in dns.zones():
        values = [record.value for record in zone.records if str(record.name) == name + "." and record.kind == "TXT"]
        if values:
            found[str(zone.name)] = sorted(values)
    return found


def test_a_name_and_its_wildcard_have_their_values_side_by_side(provider: Any, ask: Callable[..., None]) -> None:
    ask("auth", provider, "one", remaining=1)
    ask("auth", provider, "two")
    assert held() == {"app.test.": ['"one"', '"two"']}


def test_what_is_there_already_is_no_failure(provider: Any, ask: Callable[..., None]) -> None:
    ask("auth", provider, "one")
    ask("auth", provider, "one")
    assert held() == {"app.test.": ['"one"']}


def test_each_takes_its_own_value_away_and_no_other(provider: Any, ask: Callable[..., None]) -> None:
    for value in ("one", "two"):
        ask("auth", provider, value)
    ask("cleanup", provider, "three")
    ask("cleanup", provider, "one")
    assert held() == {"app.test.": ['"two"']}
    ask("cleanup", provider, "two")
    assert held() == {}


def test_the_innermost_zone_is_the_one(provider: Any, ask: Callable[..., None]) -> None:
    ask("auth", provider, "one", domain="www.in.app.test")
    assert held("_acme-challenge.www.in.app.test") == {"in.app.test.": ['"one"']}


def test_only_the_last_one_is_waited_for(provider: Any, ask: Callable[..., None], naps: list[float]) -> None:
    ask("auth", provider, "one", remaining=1)
    assert naps == []
    ask("auth", provider, "two")
    assert naps == [60]


def test_a_check_leaves_nothing_behind(provider: Any, ask: Callable[..., None]) -> None:
    ask("auth", provider, "one")
    acme_dns.check(provider, ["app.test", "*.app.test"])
    assert held() == {"app.test.": ['"one"']}


def test_a_name_of_no_zone_is_told_with_the_zones_there_are(provider: Any) -> None:
    with pytest.raises(acme_dns.HookError, match=r"other\.test lies in no zone.*holds app\.test, in\.app\.test\)"):
        acme_dns.check(provider, ["other.test"])


@pytest.mark.parametrize(
    ("name", "zones", "said"),
    [
        ("_acme-challenge.app.test", [], "it holds none at all"),
        ("_acme-challenge.app.test", [("pp.test", "1")], "lies in no zone"),
        ("_acme-challenge.app.test", [("app.test", "1"), ("app.test", "2")], r"2 zones of one name \(1, 2\)"),
    ],
)
def test_no_zone_is_guessed(name: str, zones: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(acme_dns.HookError, match=said):
        acme_dns.zone_of(name, zones)


def test_what_never_arrives_is_given_up(monkeypatch: pytest.MonkeyPatch, naps: list[float]) -> None:
    monkeypatch.setattr(acme_dns, "LIMIT", -1)
    with pytest.raises(acme_dns.HookError, match="not on all name servers"):
        acme_dns.wait(lambda: False)


def test_an_environment_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("# comment = no\nAWS_ACCESS_KEY_ID=AKIA\nAWS_SECRET_ACCESS_KEY=a=b+/c\n\n")
    assert acme_dns.read_environment(path) == {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "a=b+/c"}
    assert acme_dns.read_environment(tmp_path / "none") == {}
