# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role nginx refuses before it touches anything: one sentence each, with where it is and what to write.

nginx's own check finds some of it, in words about generated files; what works in another way than meant it lets pass.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.minato.fleet.plugins.plugin_utils.nginx_sites import (
    Item,
    Items,
    complete_sites,
    complete_upstreams,
)

Sentences = t.Iterator[str]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SERVER_NAME = re.compile(r"(\*\.|\.)?[a-z0-9-]+(\.[a-z0-9-]+)*", re.IGNORECASE)
_PATH = re.compile(r"/[^\s\"'{};$\\?#%]*")
_SIZE = re.compile(r"\d+[kKmMgG]?")
_RATE = re.compile(r"[1-9]\d*r/[sm]")
_URL = re.compile(r"https?://([A-Za-z0-9.-]+)(:\d+)?(/[^\s\"'{};$\\?#]*)?")
_MEMBER = re.compile(r"unix:/[^\s;{}]+|\[[0-9A-Fa-f:.]+\]:\d+|[A-Za-z0-9._-]+(:\d+)?")
_PARAMETER = re.compile(r"(weight|max_conns|max_fails)=\d+|fail_timeout=\d+(ms|s|m|h)?|backup|down")
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_TIMES = ("connect_timeout", "send_timeout", "read_timeout", "websocket_timeout")


def problems(
    sites: Items,
    upstreams: Items,
    addresses: t.Mapping[str, t.Sequence[str]],
    headers: t.Mapping[str, t.Any],
) -> list[str]:
    """Everything that is wrong with the role's input, one sentence each.

    Args:
        sites: ``nginx_sites``.
        upstreams: ``nginx_upstreams``.
        addresses: Lists of addresses by the name of their variable.
        headers: ``nginx_security_headers``.
    """
    groups = complete_upstreams(upstreams)
    found = [*_upstreams(groups), *_headers(headers)]
    for variable, listed in addresses.items():
        found += _addresses(variable, listed)
    return [*found, *_sites(complete_sites(sites), [str(group["name"]) for group in groups])]


def _upstreams(upstreams: list[Item]) -> Sentences:
    names = [str(upstream["name"]) for upstream in upstreams]
    for name in _twice(names):
        yield f"nginx_upstreams has {name} twice. Keep one, with the servers of both."
    for upstream in upstreams:
        where = f"nginx_upstreams {upstream['name']}"
        if not _NAME.fullmatch(str(upstream["name"])):
            yield f"{where}: the name goes into files. Write letters, digits, dots, dashes and underscores only."
        if not upstream["servers"]:
            yield f'{where}: has no servers. Name one at least, as servers: ["127.0.0.1:3000"].'
        if upstream["ca"] and not upstream["tls"]:
            yield f"{where}: has a ca, and speaks no TLS. Write tls: true, or drop it."
        if upstream["ca"] and "-----BEGIN CERTIFICATE-----" not in str(upstream["ca"]):
            yield f"{where}: its ca is no certificate. Give the text of one in PEM form, or of several."
        for server in upstream["servers"]:
            yield from _server(where, str(server), str(upstream["sticky"]))
        if upstream["servers"] and all("backup" in str(server).split()[1:] for server in upstream["servers"]):
            yield f"{where}: has backups only. Take the word backup from one of its servers."


def _server(where: str, server: str, sticky: str) -> Sentences:
    address, *parameters = server.split() or [""]
    if not _MEMBER.fullmatch(address):
        yield f"{where}: {server!r} is no server. Write host:port or unix:/path, without a scheme."
    for parameter in parameters:
        if not _PARAMETER.fullmatch(parameter):
            known = "weight=2, max_conns=100, max_fails=3, fail_timeout=10s, backup or down"
            yield f"{where}: {server!r} has the parameter {parameter}, which is none. Write {known}."
    if sticky and "backup" in parameters:
        yield f"{where}: a sticky group has no backups. Drop sticky, or the word backup: the others take over anyway."


def _headers(headers: t.Mapping[str, t.Any]) -> Sentences:
    for name, value in headers.items():
        if not _HEADER.fullmatch(str(name)):
            yield f"nginx_security_headers: {name!r} is no name of a header. Write letters, digits and dashes only."
        if str(name).lower() == "strict-transport-security":
            yield f"nginx_security_headers: {name} is each site's own. Write hsts_max_age in nginx_sites instead."
        if re.search(r"[$\r\n]", str(value)):
            yield f"nginx_security_headers: the value of {name} has a $ or a line break. Write it on one line, without."


def _addresses(where: str, addresses: t.Sequence[str]) -> Sentences:
    for address in addresses:
        try:
            ipaddress.ip_network(str(address))
        except ValueError:
            yield f"{where}: {_address_advice(str(address))}"


def _address_advice(address: str) -> str:
    try:
        return f"{address} has bits beyond its prefix. Write {ipaddress.ip_network(address, strict=False)}."
    except ValueError:
        return f"{address!r} is no address. Write one as 203.0.113.7, or a network as 203.0.113.0/24 or 2001:db8::/32."


def _sites(sites: list[Item], upstreams: list[str]) -> Sentences:
    for name in _twice([str(site["name"]) for site in sites]):
        yield f"nginx_sites has {name} twice. Keep one, with the routes of both."
    holders: dict[str, str] = {}
    for site in sites:
        where = f"nginx_sites {site['name']}"
        if not _NAME.fullmatch(str(site["name"])):
            yield f"{where}: the name goes into file names. Write letters, digits, dots, dashes and underscores only."
        if not site["server_names"]:
            yield f"{where}: has no server_names. Name one at least, as server_names: [app.example.com]."
        for name in site["server_names"]:
            yield from _server_name(where, str(name), str(site["name"]), holders)
        yield from _site(where, site)
        for path in _twice([route["path"] for route in site["routes"]]):
            yield f"{where}: has the path {path} twice. Keep one of the two routes."
        for route in site["routes"]:
            yield from _route(f"{where}, route {route['path']}", route, upstreams)


def _server_name(where: str, name: str, site: str, holders: dict[str, str]) -> Sentences:
    if not _SERVER_NAME.fullmatch(name):
        yield f"{where}: {name!r} in server_names is no host name. Write it without scheme, port and path."
    holder = holders.setdefault(name.lower(), site)
    if holder != site:
        yield f"{where}: answers to {name}, and so does {holder}. Give the name to one of them."


def _site(where: str, site: Item) -> Sentences:
    if site["https"]:
        for key in ("certificate", "certificate_key"):
            if not site[key]:
                yield f"{where}: has no {key}. Give its path, or write https: false behind a proxy that speaks TLS."
    if not _SIZE.fullmatch(str(site["max_body_size"])):
        yield f"{where}: {_size_advice(site)}"
    if not str(site["hsts_max_age"]).isdigit():
        yield f"{where}: hsts_max_age is {site['hsts_max_age']!r}. Write a number of seconds, as 31536000."
    if site["redirect_to"]:
        target = _URL.fullmatch(str(site["redirect_to"]))
        if not target:
            yield f"{where}: redirect_to is {site['redirect_to']!r}. Write scheme and host, as https://app.example.com."
        elif target[1].lower() in {str(name).lower() for name in site["server_names"]}:
            yield f"{where}: redirects to {target[1]}, which it answers to itself. Take that out of its server_names."
        if site["routes"]:
            yield f"{where}: has redirect_to and routes. A site has one or the other."


def _size_advice(item: Item) -> str:
    return f"max_body_size is {item['max_body_size']!r}. Write a whole number of bytes or with k, m or g, as 20m."


def _route(where: str, route: Item, upstreams: list[str]) -> Sentences:
    if not _PATH.fullmatch(route["path"]) or "//" in route["path"] or "/../" in route["path"] or "/./" in route["path"]:
        yield f"{where}: no request has such a path. Write one like /api/, from the root on and not encoded."
    if bool(route["upstream"]) == bool(route["directory"]):
        yield f"{where}: needs an upstream or a directory, one of the two."
    elif route["directory"]:
        yield from _directory(where, route)
    elif route["upstream"] not in upstreams:
        known = ", ".join(sorted(upstreams)) or "none"
        yield f"{where}: {route['upstream']} is not in nginx_upstreams. Add it, or write one that is: {known}."
    if route["max_body_size"] and not _SIZE.fullmatch(str(route["max_body_size"])):
        yield f"{where}: {_size_advice(route)}"
    for key in _TIMES:
        if not re.fullmatch(r"[1-9]\d*", str(route[key])):
            yield f"{where}: {key} is {route[key]!r}. Write a number of seconds, 1 at least."
    yield from _rate(where, route)
    yield from _addresses(f"{where}, allow", route["allow"])


def _rate(where: str, route: Item) -> Sentences:
    if route["rate_limit"] and not _RATE.fullmatch(str(route["rate_limit"])):
        yield f"{where}: rate_limit is {route['rate_limit']!r}. Write requests per second or minute, as 10r/s or 30r/m."
    if not str(route["rate_burst"]).isdigit():
        yield f"{where}: rate_burst is {route['rate_burst']!r}. Write a number of requests, as 20."
    elif int(route["rate_burst"]) and not route["rate_limit"]:
        yield f"{where}: has a rate_burst without a rate_limit. Write rate_limit: 10r/s, or drop it."


def _directory(where: str, route: Item) -> Sentences:
    if not re.fullmatch(r"/[^\s\"'{};$\\]+", str(route["directory"])):
        yield f"{where}: the directory {route['directory']!r} is no absolute path in plain characters. Write one."
    for key in ("websocket", "strip_prefix"):
        if route[key]:
            yield f"{where}: has {key}, which is for apps. Drop it: files are found below the route's path as it is."
    if route["fallback"]:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", str(route["fallback"])):
            yield f"{where}: fallback is {route['fallback']!r}. Write a file in the directory, as index.html."
        if "immutable" in str(route["cache_control"]):
            yield f"{where}: its fallback would be immutable. Give the files that never change a route of their own."
    if not re.fullmatch(r"[A-Za-z0-9=, -]+", str(route["cache_control"])):
        yield f"{where}: cache_control is {route['cache_control']!r}. Write what follows Cache-Control:, as no-cache."


def _twice(values: list[str]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1})
