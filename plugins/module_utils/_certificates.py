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

# Some versions of certbot do not note down their own default.
DEFAULT_SERVER = "https://acme-v02.api.letsencrypt.org/directory"

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


class Wanted(NamedTuple):
    """What a certificate has to be; method is how it is renewed, in certbot's own words (empty: not set)."""

    domains: list[str]
    server: str
    method: dict[str, str]


class Due(NamedTuple):
    """Why a certificate has to be asked for (empty: it has not), and whether although certbot would keep it."""

    reason: str
    forced: bool = False


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


def renewal(text: str) -> dict[str, str]:
    """Return how certbot renews a certificate: the parameters in the configuration that it keeps for it."""
    found: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        heading = re.match(r"\s*(\[+.*?\]+)\s*$", line)
        if heading:
            section = heading.group(1)
        elif section == "[renewalparams]" and "=" in line:
            key, value = (part.strip() for part in line.split("=", 1))
            value = value.rstrip(",").rstrip()
            found[key] = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
    return found


def due(found: Found, issued: str, wanted: Wanted, kept: dict[str, str], now: datetime) -> Due:
    """Say why a certificate has to be asked for, if it has to.

    issued is the directory in which the ACME client keeps the real one, kept what it noted down for its renewals.
    """
    certificate = found.certificate
    if certificate is None or not found.key_matches:
        return Due(found.problem)
    if found.link != issued:
        return Due("a placeholder" if certificate.self_signed else "not the one in " + issued)
    names = sorted({name.lower() for name in wanted.domains})
    if certificate.names != names:
        return Due("issued for {}, wanted for {}".format(", ".join(certificate.names) or "no name", ", ".join(names)))
    if certificate.not_after <= now:
        return Due(f"expired on {certificate.not_after:%Y-%m-%d}")
    server = kept.get("server", DEFAULT_SERVER)
    if server != wanted.server:
        return Due(f"issued by {server}, wanted from {wanted.server}", True)
    for key, value in sorted(wanted.method.items()):
        if kept.get(key, "") != value:
            return Due(f"renewed with {key} {kept.get(key, '') or 'unset'}, wanted {value or 'unset'}", True)
    return Due("")


def report(name: str, found: Found, why: Due) -> dict[str, Any]:
    """Return what the module tells about one certificate."""
    certificate = found.certificate
    return {
        "name": name,
        "usable": found.usable,
        "problem": found.problem,
        "due": why.reason,
        "forced": why.forced,
        "link": found.link,
        "subject": certificate.subject if certificate else "",
        "issuer": certificate.issuer if certificate else "",
        "self_signed": certificate.self_signed if certificate else False,
        "names": certificate.names if certificate else [],
        "not_after": certificate.not_after.strftime("%Y-%m-%dT%H:%M:%SZ") if certificate else "",
        "key_matches": found.key_matches,
    }
