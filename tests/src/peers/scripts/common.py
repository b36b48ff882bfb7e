"""What the two servers in Python share: their options, their paths, and the texts they send."""

import argparse
import asyncio
import json
import socket
import ssl
import struct
from typing import Any, AsyncIterator, Mapping
from urllib.parse import parse_qs, urlsplit

PATHS = {
    "/echo", "/feed", "/close", "/ping", "/subscribe", "/drop", "/refuse", "/subprotocol", "/headers", "/redirect",
    "/deflate",
}  # fmt: skip
SUBPROTOCOL = "v2.feed"
MAX_MESSAGE = 64 << 20


def tls_from_arguments() -> ssl.SSLContext | None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate", help="PEM file: the server's certificate chain; turns TLS on")
    parser.add_argument("--key", help="PEM file: its private key")
    parser.add_argument("--clients", help="PEM file: the authority that clients must have a certificate of")
    arguments = parser.parse_args()
    if arguments.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate, arguments.key)
    if arguments.clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(arguments.clients)
    return context


def announce(port: int) -> None:
    print(f"port {port}", flush=True)


class Target:
    """The path and the query of a request."""

    def __init__(self, raw: str) -> None:
        parts = urlsplit(raw)
        self.path = parts.path
        self._query = parse_qs(parts.query)

    def text(self, name: str) -> str | None:
        return self._query[name][0] if name in self._query else None

    def number(self, name: str, default: int) -> int:
        return int(self.text(name) or default)

    def refusal(self) -> tuple[int, dict[str, str]] | None:
        """The status and the headers to refuse the upgrade with."""
        if self.path == "/refuse":
            retry_after = self.text("retry_after")
            return self.number("status", 503), {"Retry-After": retry_after} if retry_after is not None else {}
        if self.path == "/redirect":
            return self.number("status", 302), {"Location": self.text("to") or "/echo"}
        return None if self.path in PATHS else (404, {})


def numbered(number: int, size: int = 0) -> str:
    """`{"n":0}`, padded to `size` bytes if that is more."""
    padding = size - len(f'{{"n":{number},"pad":""}}')
    return f'{{"n":{number},"pad":"{"x" * padding}"}}' if padding > 0 else f'{{"n":{number}}}'


async def feed(target: Target) -> AsyncIterator[str]:
    size = target.number("size", 0)
    for number in range(target.number("count", 100)):
        yield numbered(number, size)
        if number % 256 == 0:
            await asyncio.sleep(0)  # Sending alone need not let other connections run.


def channel_of(message: Any) -> str | None:
    """What a message subscribes to, if it does."""
    verb, _, channel = message.partition(" ") if isinstance(message, str) else ("", "", "")
    return channel if verb == "subscribe" and channel else None


def subscription(target: Target, channel: str) -> list[str]:
    items = (json.dumps({"n": number, "channel": channel}) for number in range(target.number("count", 10)))
    return [f"subscribed {channel}", *items]


def headers_seen(headers: Mapping[str, str]) -> str:
    return json.dumps({name: headers.get(name) for name in ("Authorization", "Origin", "X-Test", "Host")})


def abort(transport: asyncio.BaseTransport) -> None:
    """Ends TCP with a reset."""
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
