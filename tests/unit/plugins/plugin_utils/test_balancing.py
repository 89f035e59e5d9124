# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host's fleet_balancer leaves open."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.minato.fleet.plugins.plugin_utils.balancing import balancer

PLAIN = {"port": 0, "profile": "", "drain": 30, "timeout": 300}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"lightsail": "public"}, {"instance": "web-1", "region": "eu-west-1"}),
        ({"lightsail": "public", "instance": "other"}, {"instance": "other", "region": "eu-west-1"}),
        ({"target_group": "api"}, {"instance": "i-1", "region": "eu-west-1"}),
        ({"target_group": "api", "region": "us-east-1"}, {"instance": "i-1", "region": "us-east-1"}),
        ({"target_group": "api", "instance": "10.0.0.7", "port": 443}, {"instance": "10.0.0.7", "region": "eu-west-1"}),
    ],
    ids=["lightsail", "another name there", "target group", "another region", "by its address"],
)
def test_balancer(said: dict[str, t.Any], told: dict[str, t.Any]) -> None:
    assert balancer(said, "web-1", "i-1", "eu-west-1") == {**PLAIN, **told, **said}
