"""S3.2, S3.4, S3.8: the second form. The web app has port 443, as an ordinary user who reads the key by its group."""

from __future__ import annotations

from typing import Any

import pytest

INVENTORY = "inventory_own_tls"


@pytest.fixture(scope="module", autouse=True)
def second_form(play: Any, app_host: Any) -> Any:
    # site.yml does not take a web server away; whoever changes the form does.
    app_host.check_output("systemctl disable --now nginx")
    done = play("site", inventory=INVENTORY)
    assert done.returncode == 0, done.stdout
    return done


def test_the_app_serves_its_certificate(site: Any) -> None:
    assert site.until_up()["status"] == "ok"
    status, headers, _page = site.ask("/")
    assert status == 200
    assert headers["Server"] is None, "no web server in front"


def test_the_process_is_an_ordinary_user_with_one_capability(app_host: Any) -> None:
    pid = app_host.check_output("systemctl show morizo-web -p MainPID --value")
    assert app_host.check_output(f"stat -c %U /proc/{pid}") == "morizo-web"
    bounding = app_host.check_output(f"grep CapBnd /proc/{pid}/status").split()[1]
    assert int(bounding, 16) == 1 << 10, "CAP_NET_BIND_SERVICE and no other"


def test_the_key_is_for_root_and_the_apps_group(app_host: Any) -> None:
    """S3.4"""
    key = app_host.file(app_host.check_output("realpath /etc/ssl/fleet/morizo.test/privkey.pem"))
    assert (key.user, key.group, key.mode) == ("root", "morizo-web", 0o640)


def test_a_renewed_certificate_is_served_without_a_restart(site: Any, app_host: Any) -> None:
    """S3.4"""
    before = app_host.check_output("systemctl show morizo-web -p MainPID --value")
    first = site.connect().getpeercert(binary_form=True)
    app_host.check_output("certbot renew --force-renewal --no-random-sleep-on-renew -q")
    site.until_up()
    assert site.connect().getpeercert(binary_form=True) != first
    assert app_host.check_output("systemctl show morizo-web -p MainPID --value") == before


def test_renewal_is_rehearsed(app_host: Any) -> None:
    """S3.4"""
    authority = "REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt"
    rehearsal = "certbot renew --dry-run --server https://pebble.test:14000/dir --no-random-sleep-on-renew"
    app_host.check_output(f"{authority} {rehearsal}")


def test_a_second_run_changes_nothing(play: Any) -> None:
    done = play("site", inventory=INVENTORY)
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout.split("PLAY RECAP")[1]


def test_the_checklist_passes_in_this_form_too(play: Any) -> None:
    done = play("security_check", inventory=INVENTORY)
    assert done.returncode == 0, done.stdout
