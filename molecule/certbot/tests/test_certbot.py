"""Certificates as their clients and their authority see them."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import testinfra
import yaml
from ansible_collections.minato.fleet.molecule.conftest import Play
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook
from cryptography import x509

testinfra_hosts = ["ansible://web"]

CONVERGE = Path(__file__).parents[1] / "converge.yml"
WANTED: dict[str, Any] = yaml.safe_load(CONVERGE.read_text(encoding="utf-8"))[0]["vars"]
SECRET = "route53-secret-of-relay"
WANTED["certbot_dns_environment"]["AWS_SECRET_ACCESS_KEY"] = SECRET
SITE, RELAY = WANTED["certbot_certificates"]
LIGHT = {"name": "light.test", "domains": ["light.test", "*.light.test"], "challenge": "dns", "port": 0}
ALONE = {"name": "alone.test", "domains": ["alone.test"], "challenge": "standalone", "port": 0}
INVENTORY = os.environ.get("MOLECULE_INVENTORY_FILE", "")
DIRECTORY = WANTED["certbot_directory_url"]
ENVIRONMENT = "REQUESTS_CA_BUNDLE=/usr/local/share/ca-certificates/pebble.crt"
RENEW = f"{ENVIRONMENT} certbot renew --force-renewal --no-random-sleep-on-renew --non-interactive"
DRY_RUN = f"{ENVIRONMENT} certbot renew --dry-run --server {DIRECTORY} --no-random-sleep-on-renew"


@pytest.fixture(scope="module")
def authority() -> Any:
    """The host that Pebble runs on."""
    return testinfra.get_host("ansible://minato-certbot-ca", ansible_inventory=INVENTORY)


def address_of(host: Any, version: int) -> str:
    """Address at which a host is reached."""
    return str(host.check_output(f"ip -{version} -brief address show scope global").split()[2].split("/")[0])


@pytest.fixture
def address(host: Any) -> str:
    """IPv4 address at which the host is reached."""
    return address_of(host, 4)


@pytest.fixture
def trust(authority: Any) -> ssl.SSLContext:
    """A client that trusts the authority's root and nothing else."""
    fetch = "import ssl, urllib.request as r; c = ssl._create_unverified_context(); "
    fetch += "print(r.urlopen('https://localhost:15000/roots/0', context=c).read().decode())"
    return ssl.create_default_context(cadata=authority.check_output(f'python3 -c "{fetch}"'))


def served(address: str, context: ssl.SSLContext, name: str = "app.test", port: int = 443) -> x509.Certificate:
    """Return the certificate that a client of the site is shown, its chain and name verified."""
    with context.wrap_socket(socket.create_connection((address, port), 5), server_hostname=name) as connection:
        certificate = connection.getpeercert(binary_form=True)
    assert certificate
    return x509.load_der_x509_certificate(certificate)


def names(certificate: x509.Certificate) -> list[str]:
    """Return the DNS names of a certificate."""
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return sorted(extension.value.get_values_for_type(x509.DNSName))


def orders(authority: Any) -> int:
    """Return how often the authority was asked for a certificate."""
    return int(authority.run("journalctl --unit pebble | grep -c 'Added order'").stdout)


def with_hosts(host: Any, *lines: str) -> None:
    """Let names resolve as these lines of /etc/hosts say; Docker keeps the file mounted, so it is written in place."""
    host.check_output("cp --no-clobber /etc/hosts /root/hosts")
    for line in lines:
        host.check_output(f"echo {line} >> /etc/hosts")


@pytest.fixture
def zone() -> Any:
    """Read the records of relay.test in the emulated cloud."""
    client = cloud("route53")
    found = client.list_hosted_zones()["HostedZones"][0]["Id"]
    return lambda: client.list_resource_record_sets(HostedZoneId=found)["ResourceRecordSets"]


def cloud(service: str) -> Any:
    """A client of the emulated cloud."""
    return boto3.client(
        service,
        endpoint_url="http://127.0.0.1:5061",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


@pytest.fixture
def only_for_now(host: Any) -> Iterator[None]:
    """Take away what the scenario itself does not list."""
    yield
    for certificate in (LIGHT, ALONE):
        host.check_output(f"rm --recursive --force /etc/letsencrypt/*/{certificate['name']}*")


@pytest.fixture
def hosts(host: Any) -> Iterator[None]:
    """Put /etc/hosts back after the test."""
    host.check_output("cp /etc/hosts /root/hosts")
    yield
    host.check_output("cat /root/hosts > /etc/hosts")


def test_the_site_is_served_with_the_authoritys_certificate(address: str, trust: ssl.SSLContext) -> None:
    """S1.6: one run on a bare host was enough."""
    assert names(served(address, trust)) == ["app.test"]


def test_http_is_redirected(address: str) -> None:
    """S1.6."""
    connection = http.client.HTTPConnection(address, timeout=5)
    connection.request("GET", "/", headers={"Host": "app.test"})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Location")) == (308, "https://app.test/")


def test_services_find_certificates_below_one_directory(host: Any) -> None:
    """S1.6: a link, so that a renewal needs no copy."""
    assert host.file("/etc/ssl/fleet").mode == 0o755
    assert host.file("/etc/ssl/fleet/app.test").linked_to == "/etc/letsencrypt/live/app.test"


def test_a_key_is_readable_by_root_only_or_by_its_group_too(host: Any) -> None:
    """S1.6, S3.4: placeholders included."""
    access_of = "-exec stat --dereference --format '%a %U %G %n' {} +"
    found = host.check_output(f"find -L /etc/ssl/fleet /etc/letsencrypt -name 'privkey*.pem' {access_of}").splitlines()
    for name, access in (("app.test", "600 root root"), ("relay.test", "640 root relay")):
        keys = [line for line in found if f"/{name}/" in line]
        assert len(keys) >= 3
        assert {" ".join(line.split()[:3]) for line in keys} == {access}


def test_a_service_of_an_ordinary_user_serves_its_own_certificate(
    host: Any, address: str, trust: ssl.SSLContext
) -> None:
    """S3.4: a wildcard, proven over DNS; and another user cannot read its key."""
    assert host.check_output("ps -o user= -C python3").split() == ["relay"]
    assert names(served(address, trust, "any.relay.test", 8443)) == ["*.relay.test", "relay.test"]
    key = "/etc/ssl/fleet/relay.test/privkey.pem"
    assert host.run(f"runuser -u relay -- head --bytes 1 {key}").rc == 0
    assert host.run(f"runuser -u nobody -- head --bytes 1 {key}").rc != 0


def test_the_keys_to_the_zone_are_for_root_alone(host: Any) -> None:
    """S1.6: and in no log of certbot's."""
    assert host.file("/etc/letsencrypt/acme_dns.env").mode == 0o600
    assert SECRET in host.file("/etc/letsencrypt/acme_dns.env").content_string
    assert host.run(f"grep --recursive --files-with-matches {SECRET} /var/log /etc/letsencrypt/renewal").stdout == ""


def test_challenges_leave_nothing_in_the_zone(zone: Any) -> None:
    """S1.6."""
    assert [record for record in zone() if record["Type"] == "TXT"] == []


def test_renewal_is_on_a_timer_that_comes_back_at_boot(host: Any) -> None:
    """S1.6."""
    assert host.service("certbot.timer").is_running
    assert host.service("certbot.timer").is_enabled


def test_what_the_timer_starts_succeeds(host: Any) -> None:
    """S1.6: with the authority's own CA."""
    host.check_output("systemctl start certbot.service")
    assert "REQUESTS_CA_BUNDLE" in host.check_output("systemctl show --property Environment certbot.service")


def test_renewal_would_work(host: Any) -> None:
    """S1.6, S3.4: over HTTP and over DNS."""
    said = host.check_output(f"{DRY_RUN} 2>&1")
    assert "all simulated renewals succeeded" in said
    assert "app.test" in said
    assert "relay.test" in said


def until(condition: Any) -> None:
    """Wait for what certbot's hook has started: nginx may still be taking its workers over when it returns."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_renewed_certificate_is_the_one_that_is_served(host: Any, address: str, trust: ssl.SSLContext) -> None:
    """S1.6, S3.4: the hook reloads nginx for one and restarts the service for the other, which can read the new key."""
    site, relay = served(address, trust), served(address, trust, "relay.test", 8443)
    host.check_output(RENEW)
    until(lambda: served(address, trust).serial_number != site.serial_number)
    until(lambda: host.run("ss -Htln sport = :8443").stdout)
    until(lambda: served(address, trust, "relay.test", 8443).serial_number != relay.serial_number)


def test_a_certificate_that_is_not_served_is_noticed(
    play_role: Play, host: Any, address: str, trust: ssl.SSLContext
) -> None:
    """S1.6: renewed, and the server was never told. First with a command that reloads nothing."""
    before = served(address, trust).serial_number
    host.check_output(f"{RENEW} --no-directory-hooks --cert-name app.test")
    assert served(address, trust).serial_number == before
    done = play_role("certbot", {**WANTED, "certbot_certificates": [{**SITE, "reload": "true"}, RELAY]}, hosts="web")
    assert done.returncode != 0
    for place in ("127.0.0.1", "[::1]"):
        assert f"Clients of app.test on {place}:443 are shown another certificate (subject=" in done.stdout
    assert "and not /etc/ssl/fleet/app.test/fullchain.pem, after `true`" in done.stdout
    done = play_role("certbot", WANTED, hosts="web")
    assert done.returncode == 0, done.stdout
    assert served(address, trust).serial_number != before


@pytest.mark.usefixtures("hosts")
def test_wrong_names_are_refused_before_the_authority_is_asked(
    play_role: Play, host: Any, authority: Any, address: str, trust: ssl.SSLContext
) -> None:
    """S1.6: failed attempts count against a limit there. Each name is told with its remedy, IPv6 apart from IPv4."""
    other, other6 = address_of(authority, 4), address_of(authority, 6)
    with_hosts(host, f"{other} elsewhere.test", f"{address} forgotten.test", f"{other6} forgotten.test")
    before = orders(authority)
    domains = ["app.test", "nowhere.test", "elsewhere.test", "forgotten.test"]
    wanted = [{**SITE, "domains": domains}, RELAY]
    done = play_role("certbot", {**WANTED, "certbot_certificates": wanted}, hosts="web")
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert "nowhere.test has no address: create its A record" in said
    assert f"elsewhere.test over IPv4: its A record is {other}, and the challenge file could not be fetched" in said
    assert f"forgotten.test over IPv6: its AAAA record is {other6}, and" in said
    assert "That is no address of this host: correct or delete the AAAA record" in said
    assert "forgotten.test over IPv4" not in said
    assert "app.test over" not in said.replace("elsewhere.test over", "")
    assert orders(authority) == before
    assert names(served(address, trust)) == ["app.test"]


def test_a_zone_that_is_not_there_is_told_before_the_authority_is_asked(play_role: Play, authority: Any) -> None:
    """S1.6: certbot would ask although its hook fails."""
    before = orders(authority)
    wanted = [{**RELAY, "name": "lost", "domains": ["lost.test"]}]
    done = play_role("certbot", {**WANTED, "certbot_certificates": wanted}, "-vvv", hosts="web")
    assert done.returncode != 0
    assert "route53: _acme-challenge.lost.test lies in no zone of this account (it holds relay.test)" in done.stdout
    assert SECRET not in done.stdout
    assert orders(authority) == before


def test_lightsails_zones_and_a_standalone_server(play_role: Play, host: Any) -> None:
    """S1.6, S3.4: side by side with the others. nginx has to stop for the standalone one, now and at renewals."""
    lightsail = cloud("lightsail")
    if "light.test" not in [domain["name"] for domain in lightsail.get_domains()["domains"]]:
        lightsail.create_domain(domainName="light.test")
    wanted = {
        **WANTED,
        "certbot_certificates": [SITE, RELAY, LIGHT, ALONE],
        "certbot_dns_provider": "lightsail",
        "certbot_standalone_pre_hook": "systemctl stop nginx",
        "certbot_standalone_post_hook": "systemctl start nginx",
    }
    done = play_role("certbot", wanted, hosts="web")
    assert done.returncode == 0, done.stdout
    for certificate in (LIGHT, ALONE):
        issued = host.file(f"/etc/ssl/fleet/{certificate['name']}/fullchain.pem").content
        assert names(x509.load_pem_x509_certificate(issued)) == sorted(certificate["domains"])
    entries = lightsail.get_domain(domainName="light.test")["domain"]["domainEntries"]
    assert [entry for entry in entries if entry["type"] == "TXT"] == []
    said = host.check_output(f"{DRY_RUN} --cert-name alone.test 2>&1")
    assert "all simulated renewals succeeded" in said
    assert host.service("nginx").is_running
    assert "changed=0" in play_role("certbot", wanted, hosts="web").stdout


def test_a_port_in_use_is_told(play_role: Play, authority: Any) -> None:
    """S3.4: a standalone server, and nothing that stops nginx for it."""
    before = orders(authority)
    wanted = [SITE, RELAY, {**ALONE, "domains": ["alone.test", "www.app.test"]}]
    done = play_role("certbot", {**WANTED, "certbot_certificates": wanted}, hosts="web")
    assert done.returncode != 0
    assert "Port 80 of this host cannot be listened on (Address already in use)" in done.stdout
    assert orders(authority) == before


@pytest.mark.usefixtures("only_for_now")
def test_another_way_of_renewal_or_authority_gets_it_issued_anew(play_role: Play, host: Any) -> None:
    """S1.6: staging to production; and what certbot noted down is brought in line."""
    wanted = {**WANTED, "certbot_certificates": [SITE, RELAY, {**ALONE, "challenge": "webroot"}]}
    done = play_role("certbot", wanted, hosts="web")
    assert done.returncode == 0, done.stdout
    assert "alone.test: renewed with authenticator standalone, wanted webroot" in done.stdout
    assert "pre_hook" not in host.file("/etc/letsencrypt/renewal/alone.test.conf").content_string
    other = DIRECTORY.replace("pebble.test", "pebble.test.")
    done = play_role("certbot", {**wanted, "certbot_directory_url": other}, "--check", hosts="web")
    assert done.returncode == 0, done.stdout
    assert f"issued by {DIRECTORY}, wanted from {other}" in done.stdout
    assert "renewed with" not in done.stdout


def test_what_cannot_work_is_refused(play_role: Play) -> None:
    """S1.6: before anything is changed, and all at once."""
    twice = [{**RELAY, "challenge": "webroot"}, SITE, SITE]
    wrong = {"certbot_standalone_pre_hook": "true", "certbot_dns_environment": {"AWS_SECRET_ACCESS_KEY": f"{SECRET}\n"}}
    done = play_role("certbot", {**WANTED, **wrong, "certbot_certificates": twice}, hosts="web")
    assert done.returncode != 0
    assert SECRET not in done.stdout
    assert "certbot_dns_environment: a value has a line break in it" in done.stdout
    assert "Set challenge: dns for *.relay.test" in done.stdout
    assert "two certificates have one name" in done.stdout
    assert "certbot_standalone_pre_hook and certbot_standalone_post_hook belong together" in done.stdout
    assert "changed=0" in done.stdout


def test_a_group_that_is_not_there_is_told(play_role: Play) -> None:
    """S3.4."""
    wanted = [{**SITE, "key_group": "nobodys"}]
    done = play_role("certbot", {**WANTED, "certbot_certificates": wanted}, hosts="web")
    assert done.returncode != 0
    assert "is wanted for the group nobodys, and there is no such group on this host" in done.stdout
    assert "changed=0" in done.stdout


def test_what_certbot_says_about_a_failure_is_shown(play_role: Play) -> None:
    """S1.6."""
    wanted = [{"name": "other", "domains": ["www.app.test"]}]
    nothing = DIRECTORY.replace("/dir", "/nothing")
    done = play_role(
        "certbot", {**WANTED, "certbot_certificates": wanted, "certbot_directory_url": nothing}, hosts="web"
    )
    assert done.returncode != 0
    assert "404" in done.stdout
    assert "pebble.test" in done.stdout


def test_a_name_added_later_is_on_the_served_certificate(
    play_role: Play, host: Any, address: str, trust: ssl.SSLContext
) -> None:
    """S1.6. In the same run a key that others may read is closed, and so are the directories above it (S3.4)."""
    key = host.check_output("readlink --canonicalize /etc/ssl/fleet/relay.test/privkey.pem")
    host.check_output(f"chmod 0644 {key} && chmod 0755 /etc/letsencrypt/archive")
    wanted = [{**SITE, "domains": ["www.app.test", "app.test"]}, RELAY]
    done = play_role("certbot", {**WANTED, "certbot_certificates": wanted}, hosts="web")
    assert done.returncode == 0, done.stdout
    assert names(served(address, trust, "www.app.test")) == ["app.test", "www.app.test"]
    assert host.check_output(f"stat --format '%a %U %G' {key}") == "640 root relay"
    assert host.file("/etc/letsencrypt/archive").mode == 0o711


def test_a_lost_certificate_and_a_name_taken_out(host: Any, address: str, trust: ssl.SSLContext) -> None:
    """S1.6: nginx starts in the meantime, with a placeholder."""
    host.check_output("certbot delete --cert-name relay.test --non-interactive")
    done = run_playbook(CONVERGE)
    assert done.returncode == 0, done.stdout
    assert names(served(address, trust)) == ["app.test"]
    assert host.file("/etc/ssl/fleet/relay.test").linked_to == "/etc/letsencrypt/live/relay.test"
    until(lambda: host.run("ss -Htln sport = :8443").stdout)
    assert names(served(address, trust, "relay.test", 8443)) == ["*.relay.test", "relay.test"]
