# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DNS answers from zones: a row is a question and what comes back."""

from __future__ import annotations

import dns.message
import dns.name
import dns.query
import dns.rcode
import pytest
from ansible_collections.minato.fleet.tests.aws.dns import Record, Zone, answer, listen, serve

OUTER, INNER = dns.name.from_text("app.test"), dns.name.from_text("in.app.test")
ZONES = [
    Zone(
        OUTER,
        [
            Record(dns.name.from_text("_acme-challenge.app.test"), "TXT", '"one"'),
            Record(dns.name.from_text("_acme-challenge.app.test"), "TXT", '"two"'),
            Record(dns.name.from_text("www.app.test"), "AAAA", "2001:db8::1"),
            Record(dns.name.from_text("a.in.app.test"), "TXT", '"outer"'),
        ],
    ),
    Zone(INNER, [Record(dns.name.from_text("a.in.app.test"), "TXT", '"inner"')]),
]


@pytest.mark.parametrize(
    ("name", "kind", "code", "values"),
    [
        pytest.param("_acme-challenge.app.test", "TXT", "NOERROR", ['"one"', '"two"'], id="both values of a name"),
        pytest.param("WWW.app.test", "AAAA", "NOERROR", ["2001:db8::1"], id="in any case"),
        pytest.param("www.app.test", "A", "NOERROR", [], id="a name without such a record"),
        pytest.param("other.app.test", "A", "NXDOMAIN", [], id="no such name"),
        pytest.param("a.in.app.test", "TXT", "NOERROR", ['"inner"'], id="the innermost zone answers"),
        pytest.param("other.test", "A", "REFUSED", [], id="another's zone"),
    ],
)
def test_answer(name: str, kind: str, code: str, values: list[str]) -> None:
    response = answer(dns.message.make_query(name, kind), ZONES)
    assert dns.rcode.to_text(response.rcode()) == code
    assert sorted(str(item) for rrset in response.answer for item in rrset) == sorted(values)


def test_it_answers_over_udp() -> None:
    listener = listen("127.0.0.1", "0")
    serve(listener)
    response = dns.query.udp(dns.message.make_query("nowhere.test", "A"), "127.0.0.1", 2, listener.getsockname()[1])
    assert response.rcode() == dns.rcode.REFUSED
