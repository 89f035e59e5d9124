#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take a host out of its load balancer while it is worked on."""

from __future__ import annotations

DOCUMENTATION = r"""
module: balancer
short_description: Take a host out of its load balancer while it is worked on
version_added: 0.1.0
description:
  - Takes an instance out of a load balancer of Lightsail or a target group of EC2, and puts it back and waits until it
    is called healthy there.
  - AWS is asked by the controller, with the credentials that are there, as the AWS command line finds them. The host
    keeps a note, O(marker), from before it is taken out until it is healthy again. So a host that a run has left out
    which was stopped is put back by the next one, and where nothing was taken out V(join) asks AWS nothing.
  - An instance leaves only if it is healthy and another one is. The last one stays, and so does one that nobody is
    sent to.
  - A load balancer of Lightsail needs C(lightsail:GetLoadBalancer), C(lightsail:DetachInstancesFromLoadBalancer) and
    C(lightsail:AttachInstancesToLoadBalancer); a target group C(elasticloadbalancing:DescribeTargetGroups),
    C(elasticloadbalancing:DescribeTargetHealth), C(elasticloadbalancing:DeregisterTargets) and
    C(elasticloadbalancing:RegisterTargets).
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  step:
    description:
      - V(leave) takes the instance out, waits until the balancer says so, and then for open connections to end.
      - V(join) puts it back if V(leave) took it out, and waits until it is healthy. It fails with all states that it
        was in if that takes longer than C(balancer.timeout); the instance stays where it is.
    type: str
    required: true
    choices: [leave, join]
  balancer:
    description: Which balancer, and which of its instances.
    type: dict
    required: true
    suboptions:
      lightsail:
        description: Name of a load balancer of Lightsail. It has this or C(target_group).
        type: str
      target_group:
        description: Name or ARN of a target group of EC2.
        type: str
      instance:
        description: The instance's name in Lightsail; its id, or its address, as the target group has it.
        type: str
        required: true
      port:
        description: The port at which a target group has the instance. 0 for the group's own.
        type: int
        default: 0
      region:
        description: The balancer's region. Empty for that of the profile or of C(AWS_REGION).
        type: str
        default: ""
      profile:
        description: The profile of the credentials. Empty for those that the AWS command line would use.
        type: str
        default: ""
      drain:
        description:
          - Seconds that open connections get at most to end. AWS calls an instance draining for the whole of the
            balancer's own delay, 300 seconds if nobody changed it, even when there are none left.
        type: float
        default: 30
      timeout:
        description: Seconds that the instance gets to be healthy again.
        type: float
        default: 300
  delay:
    description: Seconds between two questions to AWS.
    type: float
    default: 5
  marker:
    description: Where the host keeps its note.
    type: str
    default: /var/lib/minato/balancer/left
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    description: Asks AWS, and says whether the instance would leave. Nothing is taken out.
    support: full
  diff_mode:
    support: none
requirements:
  - botocore
"""

EXAMPLES = r"""
- name: Leave the load balancer
  minato.fleet.balancer:
    step: leave
    balancer: {lightsail: public, instance: web-1, region: ap-northeast-1}

- name: Come back to the target group
  minato.fleet.balancer:
    step: join
    balancer: {target_group: api, instance: i-0123456789abcdef0, region: eu-west-1, timeout: 600}
"""

RETURN = r"""
out:
  description: Whether the instance is out of the balancer now.
  returned: success
  type: bool
  sample: true
msg:
  description: What was done, or why not.
  returned: success, where AWS was asked
  type: str
  sample: "web-1 stays in the load balancer public of Lightsail in ap-northeast-1: no other instance of it is healthy."
"""
