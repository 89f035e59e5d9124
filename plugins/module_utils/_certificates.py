# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a certificate on disk is, and whether it is still the one that is wanted.

Reads the text that C(openssl x509) prints, so that a host needs no Python library for it.
"""

from __future__ import annotations

import re
import ssl
from datetime import datetime, timezone
from typing import Any, NamedTuple

# What `read` has to be given: openssl x509 with these arguments.
X509_ARGUMENTS = [
    "-noout",
    "-nameopt",
    "RFC2253",
    "-subject",
    "-issuer",
    "-enddate",
    "-ext",
    "subjectAltName",
    "-pubkey",
]

_PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


class Certificate(NamedTuple):
    """One certificate: names are its DNS names, lower case and sorted; public_key is PEM; not_after is in UTC."""

    subject: str
    issuer: str
    names: list[str]
    not_after: datetime
    public_key: str

    @property
    def self_signed(self) -> bool:
        return self.subject == self.issuer


class Found(NamedTuple):
    """What is at a certificate's place: where its directory links to (empty: nowhere), and the pair in it."""

    link: str
    certificate: Certificate | None
    key_matches: bool
    problem: str

    @property
    def usable(self) -> bool:
        return self.certificate is not None and self.key_matches


def read(text: str) -> Certificate:
    """Understand the output of C(openssl x509) with X509_ARGUMENTS. Raises ValueError where a part is missing."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"(subject|issuer|notAfter)=", line))
    key = public_key(text)
    lacking = [name for name in ("subject", "issuer", "notAfter") if name not in fields]
    if lacking or not key:
        raise ValueError("openssl told no {}".format(" and no ".join(lacking or ["public key"])))
    # Not strptime: it reads the months of the host's language, and openssl writes English ones everywhere.
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(fields["notAfter"]), timezone.utc)
    names = sorted({name.lower() for name in re.findall(r"\bDNS:([^,\s]+)", text)})
    return Certificate(fields["subject"].strip(), fields["issuer"].strip(), names, end, key)


def public_key(text: str) -> str:
    """Return the first public key (PEM) in a text, empty where there is none."""
    found = _PUBLIC_KEY.search(text)
    return found.group(0) if found else ""


def due(found: Found, issued: str, domains: list[str], now: datetime) -> str:
    """Say why a certificate has to be asked for, or return an empty string.

    issued is the directory in which the ACME client keeps the real one, domains are the names it has to carry.
    """
    certificate = found.certificate
    if certificate is None or not found.key_matches:
        return found.problem
    if found.link != issued:
        return "a placeholder" if certificate.self_signed else "not the one in " + issued
    wanted = sorted({name.lower() for name in domains})
    if certificate.names != wanted:
        return "issued for {}, wanted for {}".format(", ".join(certificate.names) or "no name", ", ".join(wanted))
    if certificate.not_after <= now:
        return f"expired on {certificate.not_after:%Y-%m-%d}"
    return ""


def report(name: str, found: Found, reason: str) -> dict[str, Any]:
    """Return what the module tells about one certificate."""
    certificate = found.certificate
    return {
        "name": name,
        "usable": found.usable,
        "problem": found.problem,
        "due": reason,
        "link": found.link,
        "subject": certificate.subject if certificate else "",
        "issuer": certificate.issuer if certificate else "",
        "self_signed": certificate.self_signed if certificate else False,
        "names": certificate.names if certificate else [],
        "not_after": certificate.not_after.strftime("%Y-%m-%dT%H:%M:%SZ") if certificate else "",
        "key_matches": found.key_matches,
    }
