"""Where moto finds this service."""

from ansible_collections.minato.fleet.tests.aws.lightsail.responses import LightsailResponse

url_bases = [r"https?://lightsail\.(.+)\.amazonaws\.com"]
url_paths = {"{0}/$": LightsailResponse.dispatch}
