"""What the checks stand on: servers in a thread of their own that write down what they see, and the command under test.

No check sleeps in the hope that something has happened by then: it waits for an event a server saw, a line the
command wrote, or the end of the process. Times are `time.monotonic()`, in seconds.
"""

import asyncio
import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp.web
import websockets
from websockets.asyncio.server import ServerConnection, serve

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("TIDEGATE_BIN") or ROOT / "target/release/tidegate").absolute()

# Two clocks are never read at the same instant: what is allowed below a bound that must hold at the server.
CLOCK_SLACK = 0.01


class Seen(NamedTuple):
    """One thing a server saw."""

    at: float
    what: str
    connection: int
    value: Any


class Record:
    """What a server saw, in order. Its thread writes, the check reads and waits."""

    def __init__(self) -> None:
        self._seen: list[Seen] = []
        self._changed = threading.Condition()

    def add(self, what: str, connection: int, value: Any = None) -> None:
        with self._changed:
            self._seen.append(Seen(time.monotonic(), what, connection, value))
            self._changed.notify_all()

    def all(self, what: str) -> list[Seen]:
        with self._changed:
            return [seen for seen in self._seen if seen.what == what]

    def wait(self, what: str, count: int = 1, timeout: float = 10.0) -> list[Seen]:
        """Waits until `what` was seen `count` times, and gives the first `count` of them."""
        with self._changed:
            enough = self._changed.wait_for(lambda: sum(s.what == what for s in self._seen) >= count, timeout)
            found = [seen for seen in self._seen if seen.what == what]
            assert enough, f"saw {len(found)} of {count} x {what!r} within {timeout} s; all: {self._seen[-20:]}"
            return found[:count]

    def none_within(self, what: str, more_than: int, span: float) -> None:
        """Watches for `span` seconds that `what` is not seen more than `more_than` times."""
        with self._changed:
            broken = self._changed.wait_for(lambda: sum(s.what == what for s in self._seen) > more_than, span)
            assert not broken, f"{what!r} more than {more_than} times: {self._seen[-20:]}"


class Server(NamedTuple):
    """A server on a loopback port."""

    port: int
    record: Record
    scheme: str = "ws"
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/feed"


class Peers:
    """Servers that no one here wrote, on one event loop in one thread. Connections are numbered from 1."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="peers", daemon=True)
        self._thread.start()
        self._stops: list[Callable[[], Awaitable[None]]] = []
        self._records: list[Record] = []

    def websockets(
        self,
        handler: Callable[[ServerConnection, int, Record], Awaitable[None]],
        *,
        host: str = "127.0.0.1",
        **options: Any,
    ) -> Server:
        """A `websockets` server. Records "request" (headers), "opened", "ended" (close code, None for none)."""
        record, numbers = Record(), {}

        def on_request(ws: ServerConnection, request: Any) -> None:
            numbers[ws] = len(numbers) + 1
            record.add("request", numbers[ws], (request.path, dict(request.headers.raw_items())))

        async def on_connection(ws: ServerConnection) -> None:
            number = numbers[ws]
            record.add("opened", number)
            try:
                await handler(ws, number, record)
                await ws.close()
            except websockets.ConnectionClosed:
                pass
            except Exception as error:  # noqa: BLE001
                record.add("error", number, repr(error))
            finally:
                await ws.wait_closed()
                record.add("ended", number, ws.protocol.close_rcvd.code if ws.protocol.close_rcvd else None)

        options = {"compression": None, "ping_interval": None, "close_timeout": 2, **options}

        async def start() -> int:
            server = await serve(on_connection, host, 0, process_request=on_request, **options)

            async def stop() -> None:
                server.close()
                for ws in list(server.connections):
                    ws.transport.abort()
                await server.wait_closed()

            self._stops.append(stop)
            return server.sockets[0].getsockname()[1]

        return self._server(start, record, "wss" if options.get("ssl") else "ws", host)

    def aiohttp(self, handler: Callable[[aiohttp.web.Request, int, Record], Awaitable[Any]]) -> Server:
        """An `aiohttp` server. Records "request" (headers)."""
        record, count = Record(), 0

        async def on_request(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
            nonlocal count
            count += 1
            number = count
            record.add("request", number, (request.path_qs, dict(request.headers)))
            try:
                return await handler(request, number, record)
            except ConnectionError:
                return aiohttp.web.Response(status=500)
            except Exception as error:  # noqa: BLE001
                record.add("error", number, repr(error))
                raise

        async def start() -> int:
            application = aiohttp.web.Application()
            application.router.add_get("/{anything:.*}", on_request)
            runner = aiohttp.web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._stops.append(runner.cleanup)
            return runner.addresses[0][1]

        return self._server(start, record)

    def tcp(self, handler: Callable[..., Awaitable[None]]) -> Server:
        """A bare TCP server. Records "accepted", and "ended" once the handler is done."""
        record, count, open_writers = Record(), 0, set()

        async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            count += 1
            number = count
            record.add("accepted", number)
            open_writers.add(writer)
            try:
                await handler(reader, writer, number, record)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            except Exception as error:  # noqa: BLE001
                record.add("error", number, repr(error))
            finally:
                record.add("ended", number)
                open_writers.discard(writer)
                writer.close()

        async def start() -> int:
            server = await asyncio.start_server(on_connection, "127.0.0.1", 0)

            async def stop() -> None:
                server.close()
                for writer in list(open_writers):
                    writer.transport.abort()

            self._stops.append(stop)
            return server.sockets[0].getsockname()[1]

        return self._server(start, record)

    def close(self) -> None:
        """Stops everything, and fails if a handler failed."""

        async def stop() -> None:
            for each in self._stops:
                await each()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        try:
            self._call(stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
        errors = [error for record in self._records for error in record.all("error")]
        assert not errors, f"a server's handler failed: {errors}"

    def _server(self, start: Callable[[], Awaitable[int]], record: Record, *address: str) -> Server:
        self._records.append(record)
        return Server(self._call(start()), record, *address)

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


async def accept_upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the upgrade on a bare TCP connection (RFC 6455 §4.2.2)."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head).group(1)
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )
    await writer.drain()


async def until_eof(reader: asyncio.StreamReader) -> None:
    """Reads and forgets until the peer is gone, by an end of stream or by a reset."""
    try:
        while await reader.read(65536):
            pass
    except ConnectionError:
        pass


class Lines:
    """The lines of a pipe, each with the time at which it came, read by a thread."""

    def __init__(self, pipe: Any) -> None:
        self._lines: list[tuple[float, str]] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def _read(self, pipe: Any) -> None:
        for line in pipe:
            with self._changed:
                self._lines.append((time.monotonic(), line.decode("utf-8", "replace").removesuffix("\n")))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def at(self, index: int, timeout: float = 10.0) -> tuple[float, str]:
        """Waits for the line with this index."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._lines) > index or self._ended, timeout)
            assert len(self._lines) > index, f"no line {index} within {timeout} s; lines: {self._lines[-20:]}"
            return self._lines[index]

    def join(self, timeout: float = 10.0) -> None:
        self._thread.join(timeout)

    @property
    def texts(self) -> list[str]:
        with self._changed:
            return [text for _, text in self._lines]


class Command:
    """The command under test, as a process."""

    def __init__(self, *arguments: object, read: bool = True, stdout: Any = None, env: dict | None = None) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in ("RUST_LOG", "RUST_BACKTRACE")}
        self.process = subprocess.Popen(
            [str(BINARY), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment | (env or {}),
        )
        self.started = time.monotonic()
        self.errors = Lines(self.process.stderr)
        self.output: Lines | None = None
        if read and stdout is None:
            self.read()

    def read(self) -> Lines:
        """Starts to read what the command writes."""
        self.output = Lines(self.process.stdout)
        return self.output

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def finish(self, *codes: int, timeout: float = 10.0) -> list[str]:
        """Waits for the end, checks that the exit code is one of these, and gives the lines that were written."""
        try:
            found = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s; standard error:\n{self.stderr}") from None
        self.errors.join()
        if self.output is not None:
            self.output.join()
        assert found in codes, f"exit code {found}, expected {codes}; standard error:\n{self.stderr}"
        return self.output.texts if self.output is not None else []

    def stop(self, number: signal.Signals = signal.SIGTERM) -> list[str]:
        """Ends it the way a user does: a signal, a clean close, exit code 0."""
        self.send_signal(number)
        return self.finish(0)

    def kill(self) -> None:
        """The end of every check, whether it passed or not."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.errors.join()

    @property
    def stderr(self) -> str:
        return "\n".join(self.errors.texts)

    def memory(self) -> tuple[int, int]:
        """Resident memory in bytes: now, and at its highest."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        now, high = (int(re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE).group(1)) for name in ("VmRSS", "VmHWM"))
        return now * 1024, high * 1024


def settled(read: Callable[[], int], still_for: float, timeout: float = 30.0) -> int:
    """Waits until a figure has not changed for `still_for` seconds."""
    end = time.monotonic() + timeout
    last, since = read(), time.monotonic()
    while time.monotonic() - since < still_for:
        assert time.monotonic() < end, f"still changing after {timeout} s: {last}"
        time.sleep(0.02)
        if (now := read()) != last:
            last, since = now, time.monotonic()
    return last


def client_sockets(port: int) -> list[str]:
    """The states of the client's sockets to this port, as `ss` shows them; those in TIME-WAIT are closed."""
    assert shutil.which("ss"), "`ss` is missing: install iproute2"
    shown = subprocess.run(
        ["ss", "-Htan", f"dport = :{port}"], check=True, stdout=subprocess.PIPE, text=True, timeout=10
    ).stdout
    return [state for line in shown.splitlines() if (state := line.split()[0]) != "TIME-WAIT"]


def closed_port() -> tuple[socket.socket, int]:
    """A port that refuses connections for as long as the socket is kept: bound, but not listening."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held, held.getsockname()[1]


NOTICES = {
    "connecting",
    "success",
    "failure",
    "disconnected",
    "timeout",
    "status",
    "pong",
    "dropped",
    "paused",
    "resumed",
    "retry",
    "stopped",
}


def notices(source: Path | str) -> list[dict[str, Any]]:
    """Reads a telemetry file, or the JSON lines of standard error, and checks what must hold of every run (T2)."""
    text = source.read_text() if isinstance(source, Path) else source
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{") or isinstance(source, Path)]
    assert found, "no notices"
    for notice in found:
        assert notice["event"] in NOTICES, notice
        assert isinstance(notice["t_ms"], (int, float)), notice
    times = [notice["t_ms"] for notice in found]
    assert times == sorted(times), "notices out of order"
    live = False
    for notice in found:
        if notice["event"] == "success":
            assert not live, f"success twice for one connection: {found}"
            live = True
        elif notice["event"] in ("disconnected", "timeout"):
            assert live, f"an end without a success: {found}"
            live = False
        elif notice["event"] == "failure":
            assert not live, f"a failure while live: {found}"
    return found


def events(found: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The notices of this name."""
    return [notice for notice in found if notice["event"] == name]
