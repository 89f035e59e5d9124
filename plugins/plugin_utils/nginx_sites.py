# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the input of the role nginx to what its templates print: defaults filled in, routes made locations."""

from __future__ import annotations

import re
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

Item = dict[str, t.Any]
Items = t.Sequence[t.Mapping[str, t.Any]]

# The authorities that a host of Debian or Ubuntu trusts.
SYSTEM_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"

# What leaving a key out means; meta/argument_specs.yml says the same.
UPSTREAM: Item = {"keepalive": 16, "sticky": "", "maintenance": False, "tls": False, "ca": ""}
SITE: Item = {
    "https": True,
    "certificate": "",
    "certificate_key": "",
    "hsts_max_age": 300,
    "max_body_size": "10m",
    "redirect_to": "",
    "maintenance": False,
    "routes": [],
}
ROUTE: Item = {
    "upstream": "",
    "directory": "",
    "strip_prefix": False,
    "websocket": False,
    "websocket_timeout": 3600,
    "connect_timeout": 5,
    "send_timeout": 60,
    "read_timeout": 60,
    "max_body_size": "",
    "rate_limit": "",
    "rate_burst": 0,
    "allow": [],
    "fallback": "",
    "cache_control": "no-cache",
}


def complete(item: t.Mapping[str, t.Any], defaults: Item) -> Item:
    """The item with its defaults; a key without a value means its default, and "no" is no."""
    given = {key: value for key, value in item.items() if value is not None}
    flags = {key: boolean(given[key]) for key, value in defaults.items() if isinstance(value, bool) and key in given}
    return {**defaults, **given, **flags}


def complete_sites(sites: Items) -> list[Item]:
    """The sites, their routes and every default; each route's path ends with a slash."""
    found = [complete(site, SITE) for site in sites]
    for site in found:
        site["routes"] = [complete(route, ROUTE) for route in site["routes"]]
        for route in site["routes"]:
            route["path"] = whole_segments(str(route["path"]))
    return found


def complete_upstreams(upstreams: Items) -> list[Item]:
    return [complete(upstream, UPSTREAM) for upstream in upstreams]


def whole_segments(path: str) -> str:
    """A route's path as nginx compares it: /api is /api/, so that /apis is another."""
    return path.rstrip("/") + "/"


def model(sites: Items, upstreams: Items) -> Item:
    """What the templates print.

    Returns:
        ``upstreams``; ``limits``, the zones that count requests; ``sources``, the allow lists; ``files``, the
        configuration files of each site, and the certificates that upstreams are held against, for ``config_tree``.
    """
    groups = complete_upstreams(upstreams)
    by_name = {group["name"]: group for group in groups}
    lists: dict[tuple[str, ...], str] = {}
    limits: list[Item] = []
    files = [{"path": _ca_file(group), "content": str(group["ca"])} for group in groups if group["ca"]]
    for site in complete_sites(sites):
        for route in site["routes"]:
            _work_out(site, route, by_name.get(route["upstream"], UPSTREAM), lists)
        limits += [{"zone": route["zone"], "rate": route["rate_limit"]} for route in site["routes"] if route["zone"]]
        files += _site_files(site)
    sources = [{"name": name, "addresses": list(addresses)} for addresses, name in lists.items()]
    return {"upstreams": groups, "limits": limits, "sources": sources, "files": files}


def _ca_file(group: Item) -> str:
    """Where the certificates lie that an upstream's are held against; empty where it speaks no TLS."""
    if not group["tls"]:
        return ""
    return f"/etc/nginx/ca/{group['name']}.pem" if group["ca"] else SYSTEM_CA_FILE


def _work_out(site: Item, route: Item, group: Item, lists: dict[tuple[str, ...], str]) -> None:
    """What a route means once the others are known: what nginx needs for it, empty where it needs nothing.

    Args:
        group: The route's upstream; that of a directory has every default.
        lists: The names of the allow lists so far; one is added where the route has a new one.
    """
    route["maintenance"] = site["maintenance"] or group["maintenance"]
    route["scheme"] = "https" if group["tls"] else "http"
    route["ca_file"] = _ca_file(group)
    # Each limited route counts for itself. The name is seen in the error log; a colon would end it.
    route["zone"] = f"{site['name']}{route['path']}".replace(":", "_") if route["rate_limit"] else ""
    allow = tuple(str(address) for address in route["allow"])
    route["refused"] = lists.setdefault(allow, f"refused_{len(lists) + 1}") if allow else ""
    route["bare"] = route["path"].rstrip("/")
    route["stripped"] = re.escape(route["bare"]) if route["strip_prefix"] else ""
    if route["directory"]:
        route["directory"] = route["directory"].rstrip("/") + "/"


def _site_files(site: Item) -> t.Iterator[Item]:
    """The site's servers, and the locations of its apps and of its directories where it has any."""
    name = site["name"]
    apps = [route for route in site["routes"] if not route["directory"]]
    directories = [route for route in site["routes"] if route["directory"]]
    site["has_root"] = any(route["path"] == "/" for route in site["routes"])
    yield _file(f"sites-enabled/{name}.conf", "sites-enabled/site.conf.j2", {"site": site})
    if apps:
        yield _file(f"locations/{name}/apps.conf", "locations/apps.conf.j2", {"locations": list(_app_locations(apps))})
    if directories:
        yield _file(f"locations/{name}/static.conf", "locations/static.conf.j2", {"locations": directories})


def _file(path: str, template: str, variables: Item) -> Item:
    return {"path": f"/etc/nginx/{path}", "template": f"etc/nginx/{template}", "vars": variables}


def _app_locations(routes: list[Item]) -> t.Iterator[Item]:
    """Each route's locations, alike in all that guards them: the path itself, what is below it, and its WebSockets."""
    for number, route in enumerate(routes, 1):
        upgrades = f"@websocket{number}" if route["websocket"] else ""
        idle = {"read_timeout": route["websocket_timeout"], "send_timeout": route["websocket_timeout"]}
        # With its prefix stripped the path itself is no path any more: nginx redirects it to the one with the slash.
        matches = [f"= {route['bare']}"] if route["bare"] and not route["stripped"] else []
        for match in [*matches, route["path"]]:
            yield {**route, "match": match, "upgrades": upgrades, "is_upgrade": False}
        if upgrades:
            yield {**route, **idle, "match": upgrades, "upgrades": "", "is_upgrade": True}
