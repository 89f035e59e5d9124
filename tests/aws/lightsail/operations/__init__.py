"""What each operation does: a function of the same name in snake_case, in a file for each kind of resource.

It gets the state of the region and the request's members as arguments, named as in the model (in snake_case, optional
ones with a default), and returns the answer in the model's own names. Requests are valid when they get here,
and answers are held against the model afterwards. A new file is named here.
"""

from ansible_collections.minato.fleet.tests.aws.lightsail.operations import (
    access,
    add_ons,
    catalogue,
    databases,
    domains,
    instances,
    key_pairs,
    load_balancers,
    operations,
    ports,
    regions,
    snapshots,
    static_ips,
    tags,
)
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import OPERATIONS

__all__ = [
    "OPERATIONS",
    "access",
    "add_ons",
    "catalogue",
    "databases",
    "domains",
    "instances",
    "key_pairs",
    "load_balancers",
    "operations",
    "ports",
    "regions",
    "snapshots",
    "static_ips",
    "tags",
]
