#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prove a host's ACME challenges to itself before a certificate authority is asked."""

from __future__ import annotations

DOCUMENTATION = r"""
module: acme_preflight
short_description: Prove that ACME HTTP-01 challenges of this host can be seen under each name
version_added: 0.1.0
description:
  - Puts a file with a random name where an ACME client puts its challenges and fetches it through every name, as the
    certificate authority will, and through each of its addresses by itself. An AAAA record that leads elsewhere is
    found, although the A record is right.
  - Without a web server it listens on port 80 itself for as long as that takes, as the client will.
  - Fails with what is wrong for each name and what to do about it. Authorities allow few failed attempts (Let's Encrypt
    five an hour for each name); this costs none.
  - Looks from the host itself. It cannot tell what only others see, such as a firewall in front of it.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  names:
    description: The names to try.
    type: list
    elements: str
    required: true
  webroot:
    description:
      - The directory given to the ACME client. Made if it is missing.
      - Without it the client has a server of its own, and so has this.
    type: path
  pre_hook:
    description: Command that frees port 80 for that server, as the client will have it freed. It runs in a shell.
    type: str
    default: ""
  post_hook:
    description: Command that starts again what O(pre_hook) stopped.
    type: str
    default: ""
attributes:
  check_mode:
    description: Does nothing in check mode, when the web server that it would ask may not be there yet.
    support: full
  diff_mode:
    description: Leaves nothing behind, so there is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: See whether the names lead here
  minato.fleet.acme_preflight:
    names: [api.medical.test]
    webroot: /var/www/acme
"""

RETURN = r"""
obstacles:
  description: One sentence for each address of a name through which it cannot be proven.
  returned: failure
  type: list
  elements: str
"""

import contextlib
import os
import secrets
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._acme_preflight import (
    FAMILIES,
    PATH,
    obstacles,
    own,
    resolve,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "webroot": {"type": "path"},
            "pre_hook": {"type": "str", "default": ""},
            "post_hook": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False)
    names, webroot = module.params["names"], module.params["webroot"]
    for name in names:
        if any(address.startswith("127.") or address == "::1" for found in resolve(name).values() for address in found):
            module.warn(
                f"{name} is this host itself in its /etc/hosts: where the world is led cannot be seen from here."
            )
    found = through_webroot(names, webroot) if webroot else through_server(module, names)
    if found:
        module.fail_json(msg="The certificate authority was not asked. " + " ".join(found), obstacles=found)
    module.exit_json(changed=False)


def through_webroot(names: list[str], webroot: str) -> list[str]:
    """Return what is in the way of a file that the web server serves."""
    token = new_token()
    directory = webroot.rstrip("/") + PATH
    for parent in (webroot, os.path.dirname(directory.rstrip("/")), directory):
        if not os.path.isdir(parent):
            os.makedirs(parent)
            os.chmod(parent, 0o755)
    challenge = os.path.join(directory, token)
    try:
        with open(challenge, "w") as stream:
            stream.write(token)
        os.chmod(challenge, 0o644)
        return [sentence for name in names for sentence in obstacles(name, token, f"the web server with {webroot}")]
    finally:
        if os.path.exists(challenge):
            os.unlink(challenge)


def through_server(module: AnsibleModule, names: list[str]) -> list[str]:
    """Return what is in the way of a server that runs for as long as it is asked, as the ACME client's own will."""
    before, after = module.params["pre_hook"], module.params["post_hook"]
    hook(module, before)
    try:
        return through_port(names)
    except OSError as error:
        freed = f"`{before}` does not free it" if before else "no command is named that frees it around each renewal"
        remedy = "Stop what listens there, correct the command, or use the web server's own webroot."
        return [f"Port 80 of this host cannot be listened on ({error.strerror}), and {freed}. {remedy}"]
    finally:
        hook(module, after)


def hook(module: AnsibleModule, command: str) -> None:
    """Run a hook if there is one. As with the client, one that fails stops nothing."""
    rc, _text, error = module.run_command(command, use_unsafe_shell=True) if command else (0, "", "")
    if rc:
        module.warn(f"`{command}` failed: {error.strip()}")


def through_port(names: list[str]) -> list[str]:
    """Listen on port 80 of every family that the host has, and return what is in the way."""
    token = new_token()
    families = [family for _record, _title, family in FAMILIES if family == socket.AF_INET or own("::1")]
    with contextlib.ExitStack() as stack:
        for family in families:
            server = stack.enter_context(listening(family, token))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        return [sentence for name in names for sentence in obstacles(name, token, "the ACME client's own server")]


def listening(wanted_family: int, token: str) -> socketserver.TCPServer:
    """Return a server that knows one file."""

    class Challenge(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == PATH + token
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(token.encode() if known else b"")

        def log_message(self, *_arguments: object) -> None:
            """Say nothing: stdout is the module's answer."""

    class Server(socketserver.TCPServer):
        address_family = wanted_family
        allow_reuse_address = True

        def server_bind(self) -> None:
            if self.address_family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            super().server_bind()

    return Server(("::" if wanted_family == socket.AF_INET6 else "0.0.0.0", 80), Challenge)


def new_token() -> str:
    """Return a name that nobody else has."""
    return "preflight-" + secrets.token_hex(16)


if __name__ == "__main__":
    main()
