"""TCP echo as Python's socketserver does it: a thread per connection."""

import socket
import socketserver
import threading


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 4096

    def process_request(self, request, client_address):
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().process_request(request, client_address)

    def handle_error(self, request, client_address):
        pass  # a peer that resets is no news


threading.stack_size(256 * 1024)
with Server(("127.0.0.1", 0), Echo) as server:
    print(f"listening on tcp://127.0.0.1:{server.server_address[1]} (echo)", flush=True)
    server.serve_forever()
