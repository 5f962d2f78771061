"""The program of a platform's instance on a partner's infrastructure (paper, table 3, option 2): Mp1, and nothing else.

It is the one file of the image that `nms.mec.platform_image` makes, so it uses the standard library only and imports
nothing of this package.  Applications reach it over RESTCONF with the identity that they were given (ETSI GS MEC 011);
the platform's own domain reaches it with the only client certificate that it believes.  What applications may read is
a copy that the domain puts here, so that they find services while it does not answer; what they ask for is carried out
there.  It knows no rule of access but one: an application sees its own entry, and the registry.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = "/restconf/data/"
MODULE = "mec-platform"
JSON = "application/yang-data+json"
#: What the platform is called here: its name inside its own domain is nobody's business.
PLATFORM = "platform"
#: Longest body of a request, in bytes; most requests that wait for the domain; seconds that each of them waits.
MAX_BODY, MAX_WAITING, PATIENCE = 1 << 20, 64, 15.0
#: Seconds after which the domain counts as away that has not asked what there is to do.
AWAY = 10.0

Answer = tuple[int, Any]
#: (name, key or "") of each step of a resource below the platform.
Resource = list[list[str]]


class Refusal(Exception):
    """An answer that is an error: status, error-tag (RFC 6241 appendix A) and error-message."""

    def __init__(self, status: int, tag: str, message: str) -> None:
        super().__init__(message)
        self.answer: Answer = (status, errors(tag, message))


def errors(tag: str, message: str) -> dict[str, Any]:
    """The body of an error (RFC 8040 section 7.1)."""
    return {
        "ietf-restconf:errors": {"error": [{"error-type": "application", "error-tag": tag, "error-message": message}]}
    }


class Desk:
    """What is known here of the platform, and what applications wait for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._platform: dict[str, Any] = {}
        self._waiting: dict[int, dict[str, Any]] = {}
        self._answers: dict[int, Answer] = {}
        self._number = 0
        self._asked_at = float("-inf")

    # -- the domain's side

    def put(self, platform: dict[str, Any]) -> None:
        """The applications, services and transports that there are now."""
        with self._changed:
            self._platform = platform

    def turn(self, answers: list[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
        """Take answers; what applications have asked for since, as soon as they do, at most `seconds` later."""
        with self._changed:
            for each in answers:
                if each["number"] in self._waiting:
                    self._answers[each["number"]] = each["status"], each["body"]
            self._changed.notify_all()
            self._asked_at = time.monotonic()
            self._changed.wait_for(self._new, seconds)
            self._asked_at = time.monotonic()
            new = self._new()
            for each in new:
                each["taken"] = True
            return [{name: value for name, value in each.items() if name != "taken"} for each in new]

    def _new(self) -> list[dict[str, Any]]:
        return [each for each in self._waiting.values() if not each["taken"]]

    # -- the applications' side

    def application(self, user: str, password: str) -> dict[str, Any]:
        """The entry of the application with that name and password.  Raises `Refusal`."""
        digest = hashlib.sha256(password.encode(errors="surrogatepass")).hexdigest()
        for each in self._platform.get("application", ()):
            identity = each.get("identity", {})
            known = identity.get("user-name") == user
            if hmac.compare_digest(identity.get("password-digest", ""), digest) and known:
                return dict(each)
        raise Refusal(401, "access-denied", "the user name and password are not those of an application")

    def view(self, own: dict[str, Any]) -> dict[str, Any]:
        """The platform as an application sees it."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        shown = {name: value for name, value in own.items() if name != "identity"}
        return {
            "id": PLATFORM,
            "application": [shown],
            "service": self._platform.get("service", []),
            "transport": self._platform.get("transport", []),
            "time-of-day": {"current-time": now, "source-status": "nontraceable"},
        }

    def ask(self, application: str, method: str, resource: Resource, body: Any) -> Answer:
        """Have the domain carry something out; its answer.  Raises `Refusal`."""
        with self._changed:
            if time.monotonic() - self._asked_at > AWAY:
                raise Refusal(503, "operation-failed", "the platform's domain does not answer; try again later")
            if len(self._waiting) >= MAX_WAITING:
                raise Refusal(503, "resource-denied", "too many requests wait; try again later")
            self._number = number = self._number + 1
            asked = {"number": number, "application": application, "method": method, "resource": resource}
            self._waiting[number] = {**asked, "body": body, "taken": False}
            self._changed.notify_all()
            try:
                if not self._changed.wait_for(lambda: number in self._answers, PATIENCE):
                    raise Refusal(504, "operation-failed", "the platform's domain has not answered in time")
                return self._answers.pop(number)
            finally:
                del self._waiting[number]


def resource_of(path: str) -> Resource:
    """The steps below ``platforms/platform=ID``, without their module.  Raises `Refusal`: 404."""
    steps = []
    for part in path.split("/"):
        name, _, key = part.partition("=")
        steps.append([unquote(name).removeprefix(f"{MODULE}:"), unquote(key)])
    if steps[0] != ["platforms", ""] or (len(steps) > 1 and steps[1] != ["platform", PLATFORM]):
        raise Refusal(404, "invalid-value", "there is no such resource at this platform")
    return steps[2:] if len(steps) > 1 else [["platforms", ""]]


def found(view: dict[str, Any], resource: Resource) -> dict[str, Any]:
    """A resource of the view as RFC 8040 writes it.  Raises `Refusal`: 404."""
    if resource == [["platforms", ""]]:
        return {f"{MODULE}:platforms": {"platform": [view]}}
    if not resource:
        return {f"{MODULE}:platform": [view]}
    value: Any = view
    for name, key in resource:
        value = value.get(name) if isinstance(value, dict) else None
        if key and isinstance(value, list):
            value = next((each for each in value if each.get("id") == key), None)
        if value is None:
            raise Refusal(404, "invalid-value", "there is no such resource at this platform")
    listed = resource[-1][1] and isinstance(value, dict)
    return {f"{MODULE}:{resource[-1][0]}": [value] if listed else value}


class Handler(BaseHTTPRequestHandler):
    """One connection: of an application, or of the domain."""

    protocol_version = "HTTP/1.1"
    server_version = "mec-platform"
    timeout = 30
    desk: Desk

    def handle(self) -> None:
        """Whoever breaks off in the middle is nobody's concern."""
        try:
            self.request.settimeout(self.timeout)
            self.request.do_handshake()
            super().handle()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *values: object) -> None:
        """Requests are not logged: names and tokens of applications do not belong in a file."""

    def _serve(self) -> None:
        try:
            body = self._body()
            path = urlsplit(self.path).path
            if path.startswith("/control/"):
                answer = self._control(path.removeprefix("/control/"), body)
            elif path.startswith(ROOT):
                answer = self._mp1(path.removeprefix(ROOT), body)
            else:
                raise Refusal(404, "invalid-value", f"the platform is at {ROOT}")
        except Refusal as refusal:
            answer = refusal.answer
        self._send(*answer)

    do_GET = do_PUT = do_POST = do_DELETE = _serve

    def _body(self) -> Any:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            raise Refusal(413, "too-big", f"a body has at most {MAX_BODY} bytes and says how many")
        text = self.rfile.read(int(length))
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise Refusal(400, "malformed-message", "the body is no JSON") from None

    def _control(self, what: str, body: Any) -> Answer:
        if not self.request.getpeercert(binary_form=True):
            raise Refusal(403, "access-denied", "that is for the platform's own domain")
        if self.command == "PUT" and what == "platform":
            self.desk.put(body)
            return 204, None
        if self.command == "POST" and what == "turn":
            return 200, {"asked": self.desk.turn(body["answers"], min(float(body["seconds"]), self.timeout / 2))}
        raise Refusal(404, "invalid-value", "there is PUT platform and POST turn")

    def _mp1(self, path: str, body: Any) -> Answer:
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        try:
            text = base64.b64decode(encoded, validate=True).decode() if scheme.lower() == "basic" else ""
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        user, _, password = text.partition(":")
        own = self.desk.application(user, password)
        resource = resource_of(path)
        if self.command == "GET":
            return 200, found(self.desk.view(own), resource)
        return self.desk.ask(own["id"], self.command, resource, body)

    def _send(self, status: int, body: Any) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="mp1"')
        if content:
            self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """TLS; ends without waiting for idle clients."""

    daemon_threads = True
    context: ssl.SSLContext

    def server_bind(self) -> None:
        """Bind only: http.server would look its own address up in the DNS."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.socket.getsockname()[:2]

    def get_request(self) -> tuple[Any, Any]:
        """The handshake is done in the connection's own thread, where nobody waits for it."""
        connection, address = self.socket.accept()
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line, no traceback."""
        print(f"platform: {sys.exception()!r}", flush=True)


def main() -> None:
    """Serve until SIGTERM.  Certificate, key and the domain's authority lie beside this file."""
    here = Path(__file__).resolve().parent
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(here / "server.pem", here / "server-key.pem")
    context.load_verify_locations(here / "authority.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    Handler.desk = Desk()
    address, port = os.environ.get("MEC_ADDRESS", "127.0.0.1"), int(os.environ.get("MEC_PORT") or 8443)
    server = Server((address, port), Handler)
    server.context = context
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"the platform serves Mp1 on {address} port {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
