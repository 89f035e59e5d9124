"""A DNS server (UDP) for the zones that the cloud holds, Route 53's and Lightsail's; it refuses all others."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, lightsail_backends
from moto.route53.models import Route53Backend, route53_backends


class Record(NamedTuple):
    """One record, as its service holds it."""

    name: dns.name.Name
    kind: str
    value: str


class Zone(NamedTuple):
    """One zone with its records."""

    name: dns.name.Name
    records: list[Record]


def zones() -> Iterator[Zone]:
    """Every zone of every account."""
    for _account, _region, lightsail in lightsail_backends.iter_backends():
        assert isinstance(lightsail, LightsailBackend)
        for name, domain in lightsail.domains.items():
            entries = [entry for entry in domain["domainEntries"] if not entry["isAlias"]]
            records = [Record(dns.name.from_text(entry["name"]), entry["type"], entry["target"]) for entry in entries]
            yield Zone(dns.name.from_text(name), records)
    for _account, _partition, route53 in route53_backends.iter_backends():
        assert isinstance(route53, Route53Backend)
        for zone in route53.zones.values():
            records = [
                Record(dns.name.from_text(found.name.replace("\\052", "*")), str(found.type), value)
                for found in zone.rrsets
                for value in found.records
            ]
            yield Zone(dns.name.from_text(zone.name), records)


def answer(query: dns.message.Message, held: list[Zone]) -> dns.message.Message:
    """Answer a query from the zone with the longest name that fits."""
    response = dns.message.make_response(query)
    question = query.question[0]
    fitting = [zone for zone in held if question.name.is_subdomain(zone.name)]
    if not fitting:
        response.set_rcode(dns.rcode.REFUSED)
        return response
    response.flags |= dns.flags.AA
    records = max(fitting, key=lambda zone: len(zone.name)).records
    wanted = dns.rdatatype.to_text(question.rdtype)
    values = [found.value for found in records if found.name == question.name and found.kind == wanted]
    if values:
        response.answer.append(dns.rrset.from_text_list(question.name, 1, "IN", wanted, values))
    elif not any(found.name.is_subdomain(question.name) for found in records):
        response.set_rcode(dns.rcode.NXDOMAIN)
    return response


def listen(address: str, port: str) -> socket.socket:
    """Take the port; queries wait until serve() gets it.

    One address, not all: an answer has to come from the one that was asked.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((address, int(port)))
    return listener


def serve(listener: socket.socket) -> None:
    """Answer queries in a thread of its own."""

    def run() -> None:
        while True:
            packet, client = listener.recvfrom(4096)
            try:
                listener.sendto(answer(dns.message.from_wire(packet), list(zones())).to_wire(), client)
            except (dns.exception.DNSException, IndexError) as error:
                print(f"dns: {client[0]} sent what cannot be answered: {error!r}", flush=True)

    threading.Thread(target=run, daemon=True).start()
