"""An emulated cloud: moto's AWS services and a Lightsail of our own behind one endpoint, over real HTTP."""
