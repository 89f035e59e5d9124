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

import pytest
import testinfra
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook
from cryptography import x509

testinfra_hosts = ["ansible://web"]

CONVERGE = Path(__file__).parents[1] / "converge.yml"
INVENTORY = os.environ.get("MOLECULE_INVENTORY_FILE", "")
DIRECTORY = "https://pebble.test:14000/dir"
ENVIRONMENT = "REQUESTS_CA_BUNDLE=/usr/local/share/ca-certificates/pebble.crt"


@pytest.fixture(scope="module")
def authority() -> Any:
    """The host that Pebble runs on."""
    return testinfra.get_host("ansible://minato-certbot-ca", ansible_inventory=INVENTORY)


@pytest.fixture
def address(host: Any) -> str:
    """Address at which the host is reached."""
    return str(host.check_output("hostname -I").split()[0])


@pytest.fixture
def trust(authority: Any) -> ssl.SSLContext:
    """A client that trusts the authority's root and nothing else."""
    fetch = "import ssl, urllib.request as r; c = ssl._create_unverified_context(); "
    fetch += "print(r.urlopen('https://localhost:15000/roots/0', context=c).read().decode())"
    return ssl.create_default_context(cadata=authority.check_output(f'python3 -c "{fetch}"'))


def served(address: str, context: ssl.SSLContext, name: str = "app.test") -> x509.Certificate:
    """Return the certificate that a client of the site is shown, its chain and name verified."""
    with context.wrap_socket(socket.create_connection((address, 443), 5), server_hostname=name) as connection:
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


@pytest.fixture
def elsewhere(host: Any, authority: Any) -> Iterator[None]:
    """Let elsewhere.test resolve to a host that does not serve our challenges."""
    host.check_output("cp /etc/hosts /root/hosts")
    host.check_output(f"echo {authority.check_output('hostname -I').split()[0]} elsewhere.test >> /etc/hosts")
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


def test_keys_are_readable_by_root_only(host: Any) -> None:
    """S1.6, placeholders included."""
    keys = host.check_output("find -L /etc/ssl/fleet /etc/letsencrypt -name 'privkey*.pem'").split()
    assert len(keys) >= 3
    assert {(host.file(key).user, host.file(key).mode) for key in keys} == {("root", 0o600)}


def test_renewal_is_on_a_timer_that_comes_back_at_boot(host: Any) -> None:
    """S1.6."""
    assert host.service("certbot.timer").is_running
    assert host.service("certbot.timer").is_enabled


def test_what_the_timer_starts_succeeds(host: Any) -> None:
    """S1.6: with the authority's own CA."""
    host.check_output("systemctl start certbot.service")
    assert "REQUESTS_CA_BUNDLE" in host.check_output("systemctl show --property Environment certbot.service")


def test_renewal_would_work(host: Any) -> None:
    """S1.6, S3.4."""
    command = f"certbot renew --dry-run --server {DIRECTORY} --no-random-sleep-on-renew"
    said = host.check_output(f"{ENVIRONMENT} {command} 2>&1")
    assert "all simulated renewals succeeded" in said


def test_a_renewed_certificate_is_the_one_that_is_served(host: Any, address: str, trust: ssl.SSLContext) -> None:
    """S1.6: the hook reloads nginx."""
    before = served(address, trust).serial_number
    host.check_output(f"{ENVIRONMENT} certbot renew --force-renewal --no-random-sleep-on-renew --non-interactive")
    # certbot's hook has returned, nginx may still be taking its workers over.
    deadline = time.monotonic() + 10
    while served(address, trust).serial_number == before:
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.usefixtures("elsewhere")
def test_wrong_names_are_refused_before_the_authority_is_asked(
    authority: Any, address: str, trust: ssl.SSLContext
) -> None:
    """S1.6: failed attempts count against a limit there. Each name is told with its remedy."""
    before = orders(authority)
    done = run_playbook(
        CONVERGE, certbot_certificates=[{"name": "app.test", "domains": ["app.test", "nowhere.test", "elsewhere.test"]}]
    )
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert "nowhere.test has no address: create its A record" in said
    assert "could not be fetched ([Errno 111] Connection refused). Either the name points elsewhere" in said
    assert orders(authority) == before
    assert names(served(address, trust)) == ["app.test"]


def test_what_certbot_says_about_a_failure_is_shown() -> None:
    """S1.6."""
    done = run_playbook(
        CONVERGE,
        certbot_certificates=[{"name": "other", "domains": ["www.app.test"]}],
        certbot_directory_url="https://pebble.test:14000/nothing",
    )
    assert done.returncode != 0
    assert "404" in done.stdout
    assert "pebble.test" in done.stdout


def test_a_name_added_later_is_on_the_served_certificate(address: str, trust: ssl.SSLContext) -> None:
    """S1.6: and a second run changes nothing."""
    wanted = [{"name": "app.test", "domains": ["www.app.test", "app.test"]}]
    first = run_playbook(CONVERGE, certbot_certificates=wanted)
    assert first.returncode == 0, first.stdout
    assert names(served(address, trust, "www.app.test")) == ["app.test", "www.app.test"]
    assert "changed=0" in run_playbook(CONVERGE, certbot_certificates=wanted).stdout


def test_a_name_taken_out_is_off_the_served_certificate(address: str, trust: ssl.SSLContext) -> None:
    """S1.6."""
    assert run_playbook(CONVERGE).returncode == 0
    assert names(served(address, trust)) == ["app.test"]


def test_a_lost_certificate_is_replaced(host: Any, address: str, trust: ssl.SSLContext) -> None:
    """S1.6: nginx starts in the meantime, with a placeholder."""
    host.check_output("certbot delete --cert-name app.test --non-interactive")
    done = run_playbook(CONVERGE)
    assert done.returncode == 0, done.stdout
    assert names(served(address, trust)) == ["app.test"]
    assert host.file("/etc/ssl/fleet/app.test").linked_to == "/etc/letsencrypt/live/app.test"
