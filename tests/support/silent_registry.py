#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry that knows nothing and, for requests of one method, never answers: silent_registry.py METHOD.

Prints its port, writes the line "silent" to standard error when such a request came, and ends with its input.
"""
import http.server
import sys
import threading

silent = sys.argv[1]


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.command == silent and self.path != "/v2/":
            print("silent", file=sys.stderr, flush=True)
            threading.Event().wait()
        self.send_response(200 if self.path == "/v2/" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
