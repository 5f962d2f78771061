"""How a domain speaks with its platform's instance: JSON over HTTPS, each believing the other's one certificate.

Requests are short and each has its own connection, but for the one that waits for what applications ask.  It must not
know what is said.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nms.errors import RpcError
from nms.mec.occurrence import TEMPORARY
from nms.mec.platform_program import MAX_WAITING

#: Most bytes of an answer.
_LIMIT: Final = 1 << 22
#: Members of what an application has asked for.
ASKED: Final = frozenset({"number", "application", "method", "resource", "body"})
#: Seconds for an answer that need not be waited for.
PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Channel:
    """To the instance at an address.

    Attributes:
        context: believes it, and nobody else.
    """

    address: str
    port: int
    context: ssl.SSLContext

    async def put(self, platform: Mapping[str, Any]) -> None:
        """Have it know the platform's applications, services and transports.  Raises `RpcError`."""
        await self._request("PUT", "platform", platform, PATIENCE)

    async def turn(self, answers: list[Mapping[str, Any]], seconds: float) -> list[dict[str, Any]]:
        """Give answers, and wait so long for what applications ask for.  Raises `RpcError`."""
        body = {"answers": answers, "seconds": seconds}
        said = await self._request("POST", "turn", body, seconds + PATIENCE)
        asked = said.get("asked")
        # It runs on somebody else's machine.
        if (
            not isinstance(asked, list)
            or len(asked) > MAX_WAITING
            or not all(isinstance(each, dict) and {*each} >= ASKED for each in asked)
        ):
            raise RpcError("operation-failed", f"the instance at {self.address} says what nobody understands")
        return asked

    async def _request(self, method: str, what: str, body: Any, patience: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(patience):
                return await self._exchange(method, what, json.dumps(body).encode())
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            why = f"the instance at {self.address} does not answer: {error or 'in time'}"
            raise RpcError("operation-failed", why, type="transport", app_tag=TEMPORARY) from error

    async def _exchange(self, method: str, what: str, content: bytes) -> dict[str, Any]:
        reader, writer = await asyncio.open_connection(self.address, self.port, ssl=self.context)
        try:
            head = f"{method} /control/{what} HTTP/1.1\r\nHost: {self.address}\r\nConnection: close\r\n"
            writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            await writer.drain()
            answer = await reader.read(_LIMIT)
            while not reader.at_eof():
                answer += await reader.read(_LIMIT)
                if len(answer) > _LIMIT:
                    raise ValueError("it says too much")
        finally:
            writer.transport.abort()  # all has been said, or nobody listens any more
        header, _, text = answer.partition(b"\r\n\r\n")
        status = header.split()[1:2]
        if status not in ([b"200"], [b"204"]):
            raise ValueError(f"it answers {b''.join(status).decode(errors='replace') or 'nothing'}")
        said = json.loads(text) if text else {}
        if not isinstance(said, dict):
            raise ValueError("it answers with something else than an object")
        return said
