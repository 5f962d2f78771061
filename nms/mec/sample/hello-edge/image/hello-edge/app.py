"""A sample edge application: an HTTP server that says where it runs.

``GET /`` is a page for people, ``GET /status`` the same as JSON.  It takes its identity from the environment that the
platform gives to every application instance, and ends cleanly on SIGTERM.  Standard library only.
"""

import html
import json
import os
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STARTED = time.monotonic()

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>hello-edge</title>
<style>body {{ font: 18px/1.5 sans-serif; max-width: 32em; margin: 3em auto }} dt {{ color: #666 }}</style>
<h1>{greeting}</h1>
<p>This page is served from the edge.</p>
<dl>{rows}</dl>
</html>
"""


def status() -> dict[str, object]:
    """Who and where this instance is; `uptime` in seconds."""
    return {
        "application": "hello-edge",
        "instance": os.environ.get("MEC_APP_INSTANCE_ID", ""),
        "zone": os.environ.get("MEC_ZONE", ""),
        "address": os.environ.get("MEC_ADDRESS", ""),
        "uptime": round(time.monotonic() - STARTED, 3),
    }


def page() -> str:
    """The status as HTML."""
    rows = "".join(f"<dt>{key}</dt><dd>{html.escape(str(value))}</dd>" for key, value in status().items())
    return PAGE.format(greeting=html.escape(os.environ.get("GREETING", "Hello")), rows=rows)


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    server_version = "hello-edge/1.0"
    timeout = 10

    def do_GET(self) -> None:
        """One page, one document, and nothing else."""
        path = self.path.partition("?")[0]
        if path == "/":
            self._answer(200, "text/html; charset=utf-8", page())
        elif path == "/status":
            self._answer(200, "application/json", json.dumps(status()) + "\n")
        else:
            self._answer(404, "application/json", json.dumps({"error": "there is / and /status"}) + "\n")

    do_HEAD = do_GET

    def _answer(self, code: int, media_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Ends without waiting for idle clients."""

    daemon_threads = True

    # http.server would look its own address up in the DNS, which may take seconds.
    def server_bind(self) -> None:
        """Bind only."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.socket.getsockname()


def main() -> None:
    """Serve until SIGTERM."""
    address, port = os.environ.get("MEC_ADDRESS", "127.0.0.1"), int(os.environ.get("MEC_PORT") or 8080)
    server = Server((address, port), Handler)
    # `shutdown` waits for the serving loop, which the handler interrupts: hence from another thread.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"hello-edge serves on http://{address}:{port}/", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    print("hello-edge ends", flush=True)


if __name__ == "__main__":
    main()
