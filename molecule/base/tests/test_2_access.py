"""Who comes in: operators, SSH, the firewall, and the way back from a change that locks out the controller.

The controller comes by SSH to the container's address, as to any host; what is looked at afterwards is looked at from
inside, where no firewall is in the way.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from typing import Any

from ansible_collections.minato.fleet.molecule.base.tests.way import Way, scenario

testinfra_hosts = ["all"]

KEYS = "/etc/ssh/authorized_keys.d"
RULES = "/etc/minato/firewall.nft"
LOCKED_OUT = ["192.0.2.1"]  # an address of which documentation speaks, and nobody has


def access(host: Any) -> str:
    """Everything of the role's that lets somebody in, on disk and in the kernel."""
    files = f"/etc/ssh/sshd_config.d/* {KEYS}/* /etc/sudoers.d/* {RULES}"
    return str(host.run(f"tail -n +1 {files}; nft --stateless list table inet fleet").stdout)


def parachutes(host: Any) -> str:
    """Whatever waits to put an old set back."""
    return str(
        host.check_output(
            "systemctl list-units --all --plain --no-legend 'minato-parachute*';"
            " find /etc/systemd/system /var/lib/minato -name '*parachute*' -o -name journal.json"
        )
    )


def comes_back(way: Way, before: str, within: float) -> bool:
    """Whether the host lets dora in as before, and has tidied up, at the latest after some seconds."""
    until = time.monotonic() + within
    while access(way.host) != before or parachutes(way.host) or not way.lets_in():
        if time.monotonic() > until:
            return False
        time.sleep(1)
    return True


def passes(way: Way, port: int) -> bool:
    """Whether the firewall lets a connection to a port pass, behind which nobody listens."""
    address = way.host.check_output("hostname -I").split()[0]
    try:
        socket.create_connection((address, port), 1).close()
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    return True


def killed_once_live(way: Way, variables: dict[str, Any]) -> None:
    """Start a run by SSH, and kill the controller as soon as the host has the new set; the host ends its own part."""
    before = access(way.host)
    run = way.start(variables)
    while access(way.host) == before:
        assert run.poll() is None, run.communicate()[0]
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    way.host.check_output("flock --timeout 30 /var/lib/minato/config_tree/base_access true")


def test_an_operator_comes_in_by_key_and_becomes_root_by_sudo(host: Any, way: Way) -> None:
    assert way.ssh("sudo id --user").stdout == "0\n"
    assert host.check_output("su --login alice --command 'sudo id --user'") == "0"
    assert host.run("su --login bob --command 'sudo --non-interactive true'").rc != 0


def test_a_key_in_an_operator_s_home_opens_nothing(host: Any, way: Way) -> None:
    stranger = (way.folder / "stranger.pub").read_text(encoding="utf-8").strip()
    host.check_output(f"install -d -o dora ~dora/.ssh && echo '{stranger}' > ~dora/.ssh/authorized_keys")
    assert way.ssh("true", key="stranger").returncode == 255
    assert way.ssh("true").returncode == 0


def test_passwords_and_root_open_nothing(host: Any, way: Way) -> None:
    dora = (way.folder / "dora.pub").read_text(encoding="utf-8").strip()
    host.check_output(f"mkdir -p /root/.ssh && echo '{dora}' > /root/.ssh/authorized_keys")
    for user, key in (("root", "dora"), ("dora", "stranger")):
        assert way.ssh("true", user, key).stderr.strip().endswith("Permission denied (publickey).")


def test_only_declared_ports_are_open(way: Way) -> None:
    assert {port: passes(way, port) for port in (22, 80, 443, 8080, 9100)} == {
        22: True,
        80: True,
        443: True,
        8080: False,
        9100: False,  # for others it is open
    }


def test_a_harmless_change_is_proven_over_a_new_connection_and_stays(host: Any, way: Way) -> None:
    accepted = "journalctl --unit=ssh --output=cat | grep --count '^Accepted publickey for dora'"
    before = int(host.check_output(accepted))
    ports = [*scenario()["base_firewall_ports"], {"port": 8080}]
    code, output = way.play(way.variables(base_firewall_ports=ports, base_parachute_seconds=60))
    assert code == 0, output
    assert passes(way, 8080)
    assert int(host.check_output(accepted)) - before == 2, "one for the run, a new one for the proof"
    assert parachutes(host) == ""
    assert "table inet others" in host.check_output("nft list tables"), "the rules of others stay"


def test_a_firewall_that_locks_the_controller_out_opens_again_by_itself(host: Any, way: Way) -> None:
    before = access(host)
    code, output = way.play(way.variables(base_ssh_sources=LOCKED_OUT, base_parachute_seconds=5))
    assert code != 0
    assert "no new connection to the host can be made" in output or "it was not confirmed in time" in output
    assert comes_back(way, before, within=20)


def test_a_controller_that_is_killed_leaves_no_locked_host(host: Any, way: Way) -> None:
    """Here it is sshd that lets the key in no more."""
    before = access(host)
    stranger = (way.folder / "stranger.pub").read_text(encoding="utf-8").strip()
    killed_once_live(way, way.variables(dora={"name": "dora", "keys": [stranger]}, base_parachute_seconds=5))
    assert comes_back(way, before, within=20)


def test_a_restart_brings_the_old_set_back_too(host: Any, way: Way) -> None:
    """That is what a person does who is locked out; the firewall itself is back with the host."""
    before = access(host)
    killed_once_live(way, way.variables(base_ssh_sources=LOCKED_OUT, base_parachute_seconds=600))
    subprocess.run(["docker", "restart", host.backend.get_hostname()], check=True, capture_output=True)
    assert comes_back(way, before, within=60)
    assert not passes(way, 9100)


def test_who_would_shut_out_oneself_is_refused(host: Any, way: Way) -> None:
    before = access(host)
    code, output = way.play(way.variables(dora={"name": "dora", "state": "absent"}))
    assert code != 0
    assert "This run is logged in as dora, whom no key would let in any more" in output
    assert access(host) == before
    assert way.ssh("sudo true").returncode == 0
    as_root = "SSH_CONNECTION='192.0.2.1 50000 192.0.2.2 22' /usr/local/lib/minato/check-access"
    assert "logged in as root, whom base_ssh would let in no more" in host.run_expect([1], as_root).stderr


def test_sshd_that_does_not_listen_to_the_role_is_noticed(host: Any) -> None:
    refused = host.run_expect([1], "/usr/local/lib/minato/check-access 'permitrootlogin no' 'port 2222'")
    assert 'sshd has "port 22" where "port 2222" is wanted' in refused.stderr


def test_who_has_left_has_no_way_in_and_without_a_firewall_all_ports_are_open(host: Any, way: Way) -> None:
    host.check_output("nft add table inet others")
    assert way.ssh("true", "carol", "carol").returncode == 0
    code, output = way.play(scenario(base_firewall=False), os.environ["MOLECULE_INVENTORY_FILE"])
    assert code == 0, output
    assert "carol can no longer log in; /home/carol stays as it is" in output
    host.check_output(f"install -d -o carol ~carol/.ssh && cp {way.folder / 'carol.pub'} ~carol/.ssh/ || true")
    assert way.ssh("true", "carol", "carol").returncode == 255
    assert host.run("su --login carol --command true").rc != 0
    assert host.file("/home/carol").is_directory
    assert not host.file(f"{KEYS}/carol").exists
    assert "carol" not in host.file("/etc/sudoers.d/minato-operators").content_string
    assert passes(way, 9100)
    assert not host.file("/etc/systemd/system/minato-firewall.service").exists
    assert "table inet others" in host.check_output("nft list tables")
