"""A sample edge application with a memory: it counts the visits of each user, and speaks Mp1 with its platform.

``GET /?user=NAME`` counts a visit and says how many there were; ``GET /status`` says where it runs; ``PUT /context``
takes the counts of another instance over.  Over Mp1 (RESTCONF, with the identity that it was given in its environment)
it says that it is ready, registers a service, hands its counts to the instance that takes its place when it is told to
(ETSI GS MEC 021), and says that it can end.  Standard library only.
"""

import base64
import hashlib
import http.client
import json
import os
import signal
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PLATFORMS = "data/mec-platform:platforms"
MODULE = "mec-platform:"
JSON = "application/yang-data+json"

counts: dict[str, int] = {}
lock = threading.Lock()


def visit(user: str) -> int:
    """Count a visit; how many there were."""
    with lock:
        counts[user] = counts.get(user, 0) + 1
        return counts[user]


def take_over(context: dict[str, int]) -> None:
    """Add the visits that another instance has counted."""
    with lock:
        for user, visits in context.items():
            counts[user] = counts.get(user, 0) + int(visits)


class Handler(BaseHTTPRequestHandler):
    """Answers users, and the instance whose place this one takes."""

    server_version = "counter-edge/1.0"
    timeout = 10

    def do_GET(self) -> None:
        """A visit, or the status."""
        parts = urlsplit(self.path)
        if parts.path == "/status":
            self._answer(
                200, {"application": "counter-edge", "zone": os.environ.get("MEC_ZONE", ""), "users": len(counts)}
            )
        elif parts.path == "/" and (user := parse_qs(parts.query).get("user")):
            self._answer(200, {"user": user[0], "visits": visit(user[0])})
        else:
            self._answer(404, {"error": "there is /?user=NAME and /status"})

    def do_PUT(self) -> None:
        """The context of another instance."""
        if self.path != "/context":
            self._answer(404, {"error": "there is /context"})
            return
        try:
            take_over(json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0)))))
        except (ValueError, AttributeError, TypeError):
            self._answer(400, {"error": "expected an object of numbers"})
        else:
            self._answer(200, {"users": len(counts)})

    def _answer(self, code: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
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


class Platform:
    """Mp1: the platform that serves this instance."""

    def __init__(self) -> None:
        self.root = urlsplit(os.environ["MEC_MP1_URI"])
        self.host = self.root.hostname or ""
        user = f"{os.environ['MEC_MP1_USER']}:{os.environ['MEC_MP1_PASSWORD']}"
        self.authorization = "Basic " + base64.b64encode(user.encode()).decode()
        self.me = self.name = ""

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One request; status and answer.  Raises `OSError`: it does not answer, or is somebody else."""
        connection = self._connect()
        try:
            headers = {"Authorization": self.authorization, "Accept": JSON, "Content-Type": JSON}
            content = None if body is None else json.dumps(body)
            connection.request(method, f"{self.root.path}/{path}", content, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.strip() else {}
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        """The certificate is the one that this instance was told of, whoever has signed it."""
        if self.root.scheme == "http":
            return http.client.HTTPConnection(self.host, self.root.port, timeout=10)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(self.host, self.root.port, timeout=10, context=context)
        connection.connect()
        shown = hashlib.sha256(connection.sock.getpeercert(binary_form=True) or b"").hexdigest()
        if shown != os.environ["MEC_MP1_FINGERPRINT"]:
            connection.close()
            raise OSError("the platform shows another certificate")
        return connection

    def entry(self) -> Any:
        """What the platform keeps of this instance; {} while it does not serve it."""
        if not self.me:
            status, found = self.ask("GET", f"{PLATFORMS}?fields=platform(id;application(id))")
            for platform in found.get(f"{MODULE}platforms", {}).get("platform", ()) if status == 200 else ():
                for application in platform.get("application", ()):
                    self.me = f"{PLATFORMS}/platform={platform['id']}/application={application['id']}"
                    self.name = application["id"]
        if not self.me:
            return {}
        status, found = self.ask("GET", self.me)
        return found[f"{MODULE}application"][0] if status == 200 else {}

    def register(self) -> None:
        """Offer the counting to other applications."""
        service = {"id": f"counter-{self.name}", "name": "counter", "version": "1.0", "application": self.name}
        path = self.me.rpartition("/application=")[0]
        self.ask("PUT", f"{path}/service={service['id']}", {f"{MODULE}service": [service]})

    def say(self, what: str) -> None:
        """One of the actions of the application."""
        self.ask("POST", f"{self.me}/{MODULE}{what}")


def send(target: Any) -> bool:
    """Hand the counts to the instance that takes this one's place; whether it has them."""
    connection = http.client.HTTPConnection(target["target-address"], target.get("target-port", 80), timeout=10)
    try:
        with lock:
            context = json.dumps(counts)
        connection.request("PUT", "/context", context, {"Content-Type": "application/json"})
        return connection.getresponse().status == 200
    finally:
        connection.close()


def follow(platform: Platform) -> None:
    """Do what the platform asks for; look again and again."""
    ready, sent = False, None
    while True:
        try:
            entry = platform.entry()
            state = entry.get("state", {})
            if entry and not ready:
                platform.register()
                platform.say("confirm-ready")
                ready = True
            target = entry.get("user-context-transfer", {})
            if target and target != sent and send(target):
                sent = target
                platform.say("confirm-context-transfer")
            if "ends-at" in state:
                platform.say("confirm-termination")
        except (OSError, ValueError, http.client.HTTPException) as error:
            print(f"counter-edge: the platform: {error}", flush=True)
        time.sleep(0.2)


def main() -> None:
    """Serve until SIGTERM."""
    address, port = os.environ.get("MEC_ADDRESS", "127.0.0.1"), int(os.environ.get("MEC_PORT") or 8080)
    server = Server((address, port), Handler)
    # `shutdown` waits for the serving loop, which the handler interrupts: hence from another thread.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    if "MEC_MP1_URI" in os.environ:
        threading.Thread(target=follow, args=(Platform(),), daemon=True).start()
    print(f"counter-edge serves on http://{address}:{port}/", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
