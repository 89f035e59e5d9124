"""A service that reads its own key, as an ordinary user: every answer over TLS is "relay"."""

import http.server
import socket
import ssl


class Relay(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"relay")


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


server = Server(("::", 8443), Relay)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("/etc/ssl/fleet/relay.test/fullchain.pem", "/etc/ssl/fleet/relay.test/privkey.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
