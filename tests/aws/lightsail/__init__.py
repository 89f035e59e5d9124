"""Lightsail as a moto service.

models.py holds the state, operations/ what each call does to it, shapes.py what AWS's own model allows, responses.py
the way in between HTTP and those.
"""

from ansible_collections.minato.fleet.tests.aws.lightsail.models import lightsail_backends

__all__ = ["lightsail_backends"]
