"""Between the command and the server: proxies, redirects, local addresses, certificates."""

import asyncio
import base64
import datetime
import os
import re
import shutil
import socket
import ssl
import subprocess
from typing import Any, NamedTuple

import aiohttp.web
import pytest
import trustme
from harness import Lines, closed_port, events, notices, until_eof

# Names of variables that the command reads; an empty one counts as not set.
NO_VARIABLES = {
    name: "" for upper in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "HTTP_PROXY") for name in (upper, upper.lower())
}

# The environment's proxies are never for loopback. Linux takes this address for loopback; it does not look like it.
NOT_LOOPBACK = "0.0.0.0"

SECRET = "S3CRET"
LINES = [f"line {number}" for number in range(200)]


async def many(ws, number, record):
    for line in LINES:
        await ws.send(line)
    await ws.wait_closed()


class Proxy(NamedTuple):
    """A proxy that no one here wrote."""

    process: subprocess.Popen
    log: Lines
    port: int
    tunnel: str

    def opened_a_tunnel(self) -> None:
        """Waits until its log says so."""
        index = 0
        while self.tunnel not in self.log.at(index)[1]:
            index += 1


def program(name):
    """Where it is. A check that needs it is skipped without it, and fails where nothing may be skipped."""
    found = shutil.which(name)
    if not found and os.environ.get("TIDEGATE_REQUIRE_ALL"):
        pytest.fail(f"{name} is not installed, and TIDEGATE_REQUIRE_ALL is set")
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def free_port():
    held, port = closed_port()
    held.close()
    return port


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def start_proxy(tmp_path):
    """Starts tinyproxy or microsocks, with a user and a password or without."""
    running = []

    def start(name, user=None, password=None):
        path, port = program(name), free_port()
        if name == "tinyproxy":
            credentials = f"BasicAuth {user} {password}\n" if user else ""
            config = tmp_path / "tinyproxy.conf"
            config.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 60\nLogLevel Info\n{credentials}")
            arguments, tunnel = [path, "-d", "-c", config], "Established connection to host"
        else:
            credentials = ["-u", user, "-P", password] if user else []
            arguments, tunnel = [path, "-i", "127.0.0.1", "-p", str(port), *credentials], "connected to"
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        running.append(process)
        proxy = Proxy(process, Lines(process.stdout), port, tunnel)
        while not listens(port):
            assert process.poll() is None, f"{name} ended: {proxy.log.texts}"
        return proxy

    yield start
    for process in running:
        process.kill()
        process.wait(10)


def connect_proxy(peers, server, answers=()):
    """An HTTP proxy that leads to `server`, whatever host it is asked for. `answers` are statuses for its first requests
    instead. Records "connect": what was asked for, and the credentials."""
    answers = list(answers)

    async def pump(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def handler(reader, writer, number, record):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        given = re.search(r"(?i)proxy-authorization: basic (\S+)", head)
        record.add("connect", number, (head.split()[1], base64.b64decode(given.group(1)).decode() if given else None))
        if answers:
            writer.write(f"HTTP/1.1 {answers.pop(0)} No\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            await until_eof(reader)
            return
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(
            pump(reader, onward_writer), pump(onward_reader, writer), return_exceptions=True
        )

    return peers.tcp(handler)


def failed_at_once(running, tmp_path) -> str:
    """It stopped after one attempt. Its last line."""
    assert running.finish(1) == []
    found = notices(tmp_path / "telemetry")
    assert len(events(found, "connecting")) == 1 and not events(found, "retry"), found
    assert SECRET not in running.stderr and SECRET not in (tmp_path / "telemetry").read_text()
    return running.errors.texts[-1]


# --proxy


@pytest.mark.parametrize("credentials", [(), ("user", SECRET)], ids=["open", "password"])
@pytest.mark.parametrize("name, scheme", [("tinyproxy", "http"), ("microsocks", "socks5h"), ("microsocks", "socks5")])
def test_through_a_proxy(peers, tail, start_proxy, tmp_path, name, scheme, credentials):
    proxy = start_proxy(name, *credentials)
    server = peers.websockets(many)
    user = ":".join(credentials) + "@" if credentials else ""
    url, telemetry = f"{scheme}://{user}127.0.0.1:{proxy.port}", tmp_path / "telemetry"
    running = tail(server, "--proxy", url, "--count", len(LINES), "-v", "--telemetry", telemetry)
    assert running.finish(0) == LINES
    proxy.opened_a_tunnel()
    assert SECRET not in running.stderr and SECRET not in telemetry.read_text()


@pytest.mark.parametrize("credentials", ["", f"user:not-{SECRET}@"], ids=["none", "wrong"])
@pytest.mark.parametrize("name, scheme", [("tinyproxy", "http"), ("microsocks", "socks5h")])
def test_without_the_right_credentials(peers, tail, start_proxy, tmp_path, figure, name, scheme, credentials):
    proxy = start_proxy(name, "user", SECRET)
    server = peers.websockets(many)
    url = f"{scheme}://{credentials}127.0.0.1:{proxy.port}"
    running = tail(server, "--proxy", url, "-q", "--telemetry", tmp_path / "telemetry")
    last = failed_at_once(running, tmp_path)
    assert running.errors.texts == [last]
    assert "credentials" in last and "proxy" in last
    assert not server.record.all("request")
    figure(last)


def test_a_proxy_that_is_not_there(peers, tail, tmp_path, figure):
    server = peers.websockets(many)
    held, port = closed_port()
    telemetry = tmp_path / "telemetry"
    running = tail(
        server,
        *("--proxy", f"http://user:{SECRET}@127.0.0.1:{port}", "--retry", "fixed:20ms", "--max-retries", 2),
        *("--telemetry", telemetry),
    )
    assert running.finish(1) == []
    held.close()
    assert len(events(notices(telemetry), "retry")) == 2
    assert "proxy" in running.errors.texts[-1] and SECRET not in running.stderr
    figure(running.errors.texts[-1])


def test_a_proxy_that_cannot_connect_is_asked_again(peers, tail, tmp_path):
    server = peers.websockets(many)
    proxy, telemetry = connect_proxy(peers, server, [502, 503, 504]), tmp_path / "telemetry"
    running = tail(
        server,
        *("--proxy", f"http://127.0.0.1:{proxy.port}", "--retry", "fixed:20ms", "--count", 1),
        *("--telemetry", telemetry),
    )
    assert running.finish(0) == LINES[:1]
    assert len(proxy.record.all("connect")) == 4
    assert len(events(notices(telemetry), "failure")) == 3


def test_a_proxy_that_forbids_the_host(peers, tail, tmp_path, figure):
    server = peers.websockets(many)
    proxy = connect_proxy(peers, server, [403])
    url = f"http://127.0.0.1:{proxy.port}"
    last = failed_at_once(tail(server, "--proxy", url, "--telemetry", tmp_path / "telemetry"), tmp_path)
    assert "403" in last and "proxy" in last
    figure(last)


@pytest.mark.parametrize(
    "url, named",
    [
        (f"ftp://user:{SECRET}@127.0.0.1:1", "scheme"),
        (f"https://user:{SECRET}@127.0.0.1:1", "TLS"),
        (f"user:{SECRET}@127.0.0.1:99999", "port"),
        (f"http://user:{SECRET}@127.0.0.1:99999", "port"),
        (f"http://user:{SECRET}@", "host"),
        (f"http://user:{SECRET}@127.0.0.1:1/path", "port"),
        (f"http://user:{SECRET}%ff@127.0.0.1:1", "percent"),
        (f"socks5h://:{SECRET}@127.0.0.1:1", "user"),
        ("", "proxy"),
    ],
)
def test_a_proxy_that_is_none(tail, figure, url, named):
    running = tail("ws://127.0.0.1:1/", "--proxy", url)
    assert running.finish(2, timeout=5) == []
    assert "--proxy" in running.stderr and named in running.stderr, running.stderr
    assert SECRET not in running.stderr
    figure(running.errors.texts[0])


# The environment


@pytest.mark.parametrize("variable", ["all_proxy", "ALL_PROXY"])
def test_the_environments_proxy(peers, tail, variable):
    """The proxy alone knows the host."""
    server = peers.websockets(many)
    proxy = connect_proxy(peers, server)
    env = NO_VARIABLES | {variable: f"http://user:{SECRET}@127.0.0.1:{proxy.port}"}
    running = tail("ws://feed.test:81/feed", "--count", len(LINES), "-v", env=env)
    assert running.finish(0) == LINES
    assert proxy.record.all("connect")[0].value == ("feed.test:81", f"user:{SECRET}")
    assert SECRET not in running.stderr


def test_tls_through_the_environments_proxy(peers, tail, tmp_path):
    """`HTTPS_PROXY` comes before `ALL_PROXY`, and sees nothing of what is said."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = peers.websockets(many, ssl=context(authority, "feed.test"))
    proxy = connect_proxy(peers, server)
    held, port = closed_port()
    env = NO_VARIABLES | {
        "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
        "ALL_PROXY": f"http://127.0.0.1:{port}",
    }
    running = tail("wss://feed.test/feed", "--ca", tmp_path / "ca.pem", "--count", len(LINES), env=env)
    assert running.finish(0) == LINES
    held.close()
    assert proxy.record.all("connect")[0].value == ("feed.test:443", None)


@pytest.mark.parametrize(
    "arguments, env",
    [
        (["--proxy", "none"], {}),
        ([], {"NO_PROXY": NOT_LOOPBACK}),
        ([], {"no_proxy": "other.test, *"}),
    ],
    ids=["--proxy none", "NO_PROXY", "no_proxy"],
)
def test_around_the_environments_proxy(peers, tail, arguments, env):
    server = peers.websockets(many)
    proxy = connect_proxy(peers, server)
    env = NO_VARIABLES | {"ALL_PROXY": f"http://127.0.0.1:{proxy.port}"} | env
    url = f"ws://{NOT_LOOPBACK}:{server.port}/feed"
    # It goes there without these,
    assert tail(url, "--count", 1, env=env | {"NO_PROXY": "", "no_proxy": ""}).finish(0) == LINES[:1]
    assert len(proxy.record.all("connect")) == 1
    # and not with them.
    assert tail(url, "--count", 1, *arguments, env=env).finish(0) == LINES[:1]
    assert len(proxy.record.all("connect")) == 1


def test_loopback_needs_no_proxy(peers, tail):
    server = peers.websockets(many)
    proxy = connect_proxy(peers, server)
    env = NO_VARIABLES | {"ALL_PROXY": f"http://127.0.0.1:{proxy.port}"}
    assert tail(server, "--count", 1, env=env).finish(0) == LINES[:1]
    assert not proxy.record.all("connect")


def test_a_variable_that_is_wrong(tail, tmp_path, figure):
    env = NO_VARIABLES | {"ALL_PROXY": f"ftp://user:{SECRET}@127.0.0.1:1"}
    running = tail("ws://feed.test/", "--telemetry", tmp_path / "telemetry", env=env)
    last = failed_at_once(running, tmp_path)
    assert "ALL_PROXY" in last and "scheme" in last
    figure(last)


# Redirects, and what else is sent


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_followed(peers, tail, status):
    async def handler(request, number, record):
        if request.path == "/feed":
            return aiohttp.web.Response(status=status, headers={"Location": "/ws?from=feed"})
        ws = aiohttp.web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        await ws.send_str("there")
        await ws.receive()
        return ws

    server = peers.aiohttp(handler)
    running = tail(server, "--header", f"X-Api: {SECRET}", "--count", 1)
    assert running.finish(0) == ["there"]
    requests = [seen.value for seen in server.record.all("request")]
    assert [path for path, _ in requests] == ["/feed", "/ws?from=feed"]
    # To the same origin.
    assert [headers["X-Api"] for _, headers in requests] == [SECRET, SECRET]


def test_credentials_do_not_follow_to_another_origin(peers, tail):
    async def handler(ws, number, record):
        await ws.send("there")
        await ws.wait_closed()

    target = peers.websockets(handler)

    async def redirect(request, number, record):
        return aiohttp.web.Response(status=307, headers={"Location": f"http://127.0.0.1:{target.port}/other"})

    server = peers.aiohttp(redirect)
    running = tail(server, "--header", f"X-Api: {SECRET}", "--count", 1)
    assert running.finish(0) == ["there"]
    path, headers = target.record.all("request")[0].value
    assert path == "/other" and SECRET not in str(headers)


def test_redirects_in_a_circle(peers, tail, figure):
    async def handler(request, number, record):
        return aiohttp.web.Response(status=302, headers={"Location": f"/{number}?token={SECRET}"})

    server = peers.aiohttp(handler)
    running = tail(server, "--max-retries", 0)
    assert running.finish(1) == []
    assert len(server.record.all("request")) == 6
    assert "redirect" in running.errors.texts[-1] and SECRET not in running.stderr
    figure(running.errors.texts[-1])


def test_subprotocol_and_origin(peers, tail):
    async def handler(ws, number, record):
        record.add("chosen", number, ws.subprotocol)
        await ws.send("hello")
        await ws.wait_closed()

    server = peers.websockets(handler, subprotocols=["feed.v1"], origins=["https://app.test"])
    running = tail(
        server,
        *("--subprotocol", "feed.v2", "--subprotocol", "feed.v1", "--origin", "https://app.test", "--count", 1),
    )
    assert running.finish(0) == ["hello"]
    assert server.record.all("chosen")[0].value == "feed.v1"
    headers = {name.lower(): value for name, value in server.record.all("request")[0].value[1].items()}
    assert headers["sec-websocket-protocol"] == "feed.v2, feed.v1"
    assert headers["origin"] == "https://app.test"


def test_a_local_address(peers, tail):
    async def handler(ws, number, record):
        record.add("from", number, ws.remote_address[0])
        await ws.send("hello")
        await ws.wait_closed()

    server = peers.websockets(handler)
    assert tail(server, "--bind", "127.0.0.2", "--count", 1).finish(0) == ["hello"]
    assert server.record.all("from")[0].value == "127.0.0.2"


# Certificates


def context(authority: trustme.CA, *names: str, **validity: Any) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **validity).configure_cert(made)
    return made


@pytest.mark.parametrize("trusted, name, hint", [(False, "localhost", "--ca"), (True, "elsewhere.example", "URL")])
def test_a_certificate_that_waiting_does_not_mend(peers, tail, tmp_path, figure, trusted, name, hint):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = peers.websockets(many, host="localhost", ssl=context(authority, name))
    arguments = ["--ca", tmp_path / "ca.pem"] if trusted else []
    running = tail(server, *arguments, "--max-retries", 5, "--telemetry", tmp_path / "telemetry")
    last = failed_at_once(running, tmp_path)
    assert "certificate" in last and hint in last
    assert not server.record.all("request")
    figure(last)


def test_a_certificate_that_has_expired(peers, tail, tmp_path, figure):
    """It may be renewed: tried again."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    expired = context(authority, "localhost", not_after=past)
    server = peers.websockets(many, host="localhost", ssl=expired)
    running = tail(
        server,
        *("--ca", tmp_path / "ca.pem", "--retry", "fixed:20ms", "--max-retries", 2),
        *("--telemetry", tmp_path / "telemetry"),
    )
    assert running.finish(1) == []
    assert len(events(notices(tmp_path / "telemetry"), "retry")) == 2
    assert "expired" in running.errors.texts[-1].lower()
    assert not server.record.all("request")
    figure(running.errors.texts[-1])
