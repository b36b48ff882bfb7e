"""What a server says when it refuses, and where it leads: status, reason and body as servers of other authors write them."""

import http.server
import threading

import aiohttp.web
import pytest
from harness import events, notices

SECRET = "S3CRET"


def test_the_body_of_a_refusal_is_shown(peers, tail, tmp_path, figure):
    """200 characters of it, all of it with -v and in telemetry; escaped, and without what was sent in confidence (T3)."""
    body = f"the key {SECRET} has expired\x1b[31m\n" + "see the documentation; " * 20 + "END"

    async def handler(request, number, record):
        return aiohttp.web.Response(status=403, reason="No Such Key", text=body)

    server = peers.aiohttp(handler)
    arguments = ["--header", f"X-Key: {SECRET}", "--telemetry", tmp_path / "telemetry"]
    running = tail(server, *arguments)
    assert running.finish(1) == []
    last = running.errors.texts[-1]
    figure(last)
    assert r"HTTP 403 No Such Key: the key *** has expired\u{1b}[31m\n" in last
    assert "END" not in running.stderr and SECRET not in running.stderr
    failure = events(notices(tmp_path / "telemetry"), "failure")[0]
    assert failure["status"] == 403 and failure["body"].endswith("END") and SECRET not in str(failure)

    verbose = tail(server, *arguments, "-v")
    verbose.finish(1)
    assert "END" in verbose.stderr and SECRET not in verbose.stderr


class Plain(http.server.SimpleHTTPRequestHandler):
    """Python's own server of files, which speaks HTTP/1.0."""

    def log_message(self, *_):
        pass


class Deaf(http.server.BaseHTTPRequestHandler):
    """The same without a method: every request is 501."""

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("handler, status", [(Plain, 404), (Deaf, 501)], ids=["404", "501"])
def test_a_refusal_in_http_1_0(tail, tmp_path, figure, handler, status):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running = tail(
            f"ws://127.0.0.1:{server.server_port}/no/such/place",
            *("--retry", "fixed:10ms", "--telemetry", tmp_path / "telemetry"),
        )
        running.finish(1)
        server.shutdown()
    last = running.errors.texts[-1]
    figure(last)
    assert f"HTTP {status}" in last
    found = notices(tmp_path / "telemetry")
    assert events(found, "failure")[0]["reason"] == "rejected"
    assert not events(found, "retry"), "no waiting mends it (R6)"


@pytest.mark.parametrize("options", [["--send", SECRET], ["--send", SECRET, "--send-after-redirect"], []], ids=len)
def test_frames_are_not_sent_to_another_origin_unasked(peers, tail, figure, options):
    async def handler(ws, number, record):
        await ws.send("there")
        if options:
            record.add("frame", number, await ws.recv())
        await ws.wait_closed()

    target = peers.websockets(handler)

    async def redirect(request, number, record):
        return aiohttp.web.Response(status=307, headers={"Location": f"http://127.0.0.1:{target.port}/other?x={SECRET}"})

    running = tail(peers.aiohttp(redirect), "--count", 1, *options)
    if len(options) == 2:
        assert running.finish(1) == []
        last = running.errors.texts[-1]
        figure(last)
        assert f"127.0.0.1:{target.port}/other" in last and "--send-after-redirect" in last
        assert SECRET not in running.stderr
        assert not target.record.all("request")
    else:
        assert running.finish(0) == ["there"]


def test_another_host_and_another_address(peers, tail):
    async def handler(ws, number, record):
        await ws.send(ws.request.headers["Host"])
        await ws.wait_closed()

    server = peers.websockets(handler)
    to = f"127.0.0.1:{server.port}"
    assert tail(server, "--host", "feed.example", "--count", 1).finish(0) == ["feed.example"]
    lines = tail("ws://feed.example:81/", "--connect-to", f"feed.example:81:{to}", "--count", 1).finish(0)
    assert lines == ["feed.example:81"]
    both = ["--connect-to", f"feed.example:80:{to}", "--host", "other.example:9"]
    assert tail("ws://feed.example/", *both, "--count", 1).finish(0) == ["other.example:9"]


@pytest.mark.parametrize("header", ["Host", "Connection", "Upgrade", "Sec-WebSocket-Key", "Content-Length"])
def test_a_header_of_the_handshakes_own_is_wrong_usage(tail, figure, header):
    running = tail("ws://127.0.0.1:1/", "--header", f"{header}: {SECRET}")
    running.finish(2, timeout=5)
    figure(running.errors.texts[0])
    assert header.lower() in running.stderr.lower() and SECRET not in running.stderr


def test_a_url_with_a_line_break_is_named_by_place(tail, figure):
    running = tail(f"ws://127.0.0.1:1/?token={SECRET}\n")
    running.finish(2, timeout=5)
    figure(running.errors.texts[0])
    assert SECRET not in running.stderr
