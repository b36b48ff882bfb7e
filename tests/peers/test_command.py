"""The command line: what is sent, what is written, what is refused, and what is never shown."""

import json

import pytest
from harness import NOTICES, events, notices


def test_send_after_every_upgrade_in_order(peers, tail, figure):
    async def handler(ws, number, record):
        record.add("frames", number, [await ws.recv(), await ws.recv()])
        await ws.send(f"acknowledged {number}")
        if number == 3:
            await ws.wait_closed()

    server = peers.websockets(handler)
    frames = ['{"op":"subscribe","channel":"trades"}', '{"op":"subscribe","channel":"book"}']
    running = tail(server, "--send", frames[0], "--send", frames[1], "--retry", "fixed:50ms", "--count", 3)
    assert running.finish(0) == ["acknowledged 1", "acknowledged 2", "acknowledged 3"]
    assert [seen.value for seen in server.record.wait("frames", 3)] == [frames] * 3
    figure("2 frames in order after each of 3 upgrades")


def test_headers_arrive_and_are_never_shown(peers, tail, figure, tmp_path):
    secrets = {
        "X-Api": "plain-S3CRET",
        "X-File": "file-S3CRET",
        "X-Env": "env-S3CRET",
        "Authorization": "Bearer auth-S3CRET",
    }
    (tmp_path / "secret").write_text("file-S3CRET\n")

    async def handler(ws, number, record):
        assert await ws.recv() == '{"key":"payload-S3CRET"}'
        await ws.send(f"hello {number}")
        if number > 1:
            await ws.wait_closed()

    server = peers.websockets(handler)
    telemetry = tmp_path / "telemetry"
    running = tail(
        f"{server.url}?token=query-S3CRET",
        *("--header", "X-Api: plain-S3CRET"),
        *("--header", f"X-File: @{tmp_path / 'secret'}"),
        *("--header", "X-Env: env:TIDEGATE_PEERS_SECRET"),
        *("--header", "Authorization: Bearer auth-S3CRET"),
        *("--send", '{"key":"payload-S3CRET"}'),
        *("--retry", "fixed:50ms", "--count", 2, "-v", "--telemetry", telemetry),
        env={"TIDEGATE_PEERS_SECRET": "env-S3CRET"},
    )
    assert running.finish(0) == ["hello 1", "hello 2"]
    for seen in server.record.wait("request", 2):
        path, headers = seen.value
        assert path == "/feed?token=query-S3CRET"
        lower = {name.lower(): value for name, value in headers.items()}
        assert {name: lower[name.lower()] for name in secrets} == secrets
    assert "S3CRET" not in running.stderr
    assert "S3CRET" not in telemetry.read_text()
    figure("4 headers and a query at the server, twice; none in standard error (-v) or telemetry")


def test_a_header_more_than_once(peers, tail):
    async def handler(ws, number, record):
        record.add("values", number, ws.request.headers.get_all("X-Many"))
        await ws.send("ok")
        await ws.wait_closed()

    server = peers.websockets(handler)
    tail(server, "--header", "X-Many: one", "--header", "X-Many: two", "--count", 1).finish(0)
    assert server.record.wait("values")[0].value == ["one", "two"]


@pytest.mark.parametrize(
    "header",
    ["S3CRET without a colon", "X-Api: S3CRET\x01", "X Api: S3CRET"],
    ids=["no colon", "bad value", "bad name"],
)
def test_a_bad_header_is_refused_without_showing_its_value(tail, header):
    running = tail("ws://127.0.0.1:1/", "--header", header)
    running.finish(2)
    assert "--header" in running.stderr
    assert "S3CRET" not in running.stderr


def test_json_lines(peers, tail, figure, tmp_path):
    awkward = 'say "hi"\n\\ \u2028 \u00e9 \U0001f30a \x07'

    async def handler(ws, number, record):
        if number == 1:
            await ws.send("one")
            await ws.send(b"\x00\xff\xfe")
            await ws.send(awkward)
            await ws.wait_closed()
        await ws.send("two")
        await ws.wait_closed()

    server = peers.websockets(handler)
    telemetry = tmp_path / "telemetry"
    running = tail(
        server,
        *("--json", "--ping-interval", "off", "--idle-timeout", "500ms", "--retry", "fixed:50ms", "--count", 4, "--telemetry", telemetry),
    )
    lines = [json.loads(line) for line in running.finish(0)]
    assert lines[:8] == [
        {"opened": 1},
        {"live": 1},
        {"connection": 1, "n": 0, "text": "one"},
        {"connection": 1, "n": 1, "base64": "AP/+"},
        {"connection": 1, "n": 2, "text": awkward},
        {"interrupted": 1, "reason": "idle_timeout"},
        {"opened": 2},
        {"live": 2},
    ]
    assert lines[8] == {"connection": 2, "n": 0, "text": "two"}
    # The command's own end may be marked as well.
    assert lines[9:] in ([], [{"interrupted": 2, "reason": "shutdown"}])
    found = notices(telemetry)
    assert len(events(found, "timeout")) == 1 and len(events(found, "success")) == 2
    figure("live, text, base64, interrupted with its reason, live again")


def test_plain_lines(peers, tail):
    """One line for each item, and nothing else."""

    async def handler(ws, number, record):
        await ws.send(f"first of {number}")
        await ws.send("second")
        if number == 2:
            await ws.wait_closed()

    server = peers.websockets(handler)
    running = tail(server, "--retry", "fixed:50ms", "--count", 4)
    assert running.finish(0) == ["first of 1", "second", "first of 2", "second"]


def test_count_stops_there(peers, tail):
    async def handler(ws, number, record):
        for n in range(100):
            await ws.send(str(n))
        await ws.wait_closed()

    server = peers.websockets(handler)
    assert tail(server, "--count", 7).finish(0) == [str(n) for n in range(7)]
    assert server.record.wait("ended")[0].value == 1000


def test_telemetry_on_standard_error(peers, tail, figure):
    async def handler(ws, number, record):
        await ws.send(f"hello {number}")
        if number > 1:
            await ws.wait_closed()

    server = peers.websockets(handler)
    running = tail(server, "--telemetry", "-", "--retry", "fixed:50ms", "--count", 2)
    running.finish(0)
    found = notices(running.stderr)
    names = [notice["event"] for notice in found]
    assert names.count("success") == 2 and names.count("retry") == 1
    assert {"success", "disconnected", "status", "retry"} <= set(names) <= NOTICES
    retry = events(found, "retry")[0]
    assert (retry["attempt"], retry["delay_ms"]) == (1, 50)
    figure(", ".join(names))


def test_one_line_for_each_change_of_state(peers, tail, figure):
    async def handler(ws, number, record):
        await ws.send(f"hello {number}")
        if number > 1:
            await ws.wait_closed()

    server = peers.websockets(handler)
    talking = tail(server, "--retry", "fixed:50ms", "--count", 2)
    talking.finish(0)
    assert len(talking.errors.texts) >= 3
    assert len(talking.errors.texts) < 30
    figure(" | ".join(talking.errors.texts))


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["http://127.0.0.1:1/"], "http"),
        (["ftp://127.0.0.1:1/"], "ftp"),
        (["127.0.0.1:1"], "ws"),
        (["not a url"], "URL"),
        ([], "URL"),
        (["ws://127.0.0.1:1/", "--idle-timeout", "5parsecs"], "--idle-timeout"),
        (["ws://127.0.0.1:1/", "--idle-timeout", "0s"], "idle"),
        (["ws://127.0.0.1:1/", "--connect-timeout", "0s"], "connect"),
        (["ws://127.0.0.1:1/", "--ping-interval", "5s", "--idle-timeout", "2s"], "ping"),
        (["ws://127.0.0.1:1/", "--retry", "sometimes"], "--retry"),
        (["ws://127.0.0.1:1/", "--retry", "fixed:"], "--retry"),
        (["ws://127.0.0.1:1/", "--retry", "exponential:10s..1s"], "retry"),
        (["ws://127.0.0.1:1/", "--max-retries", "many"], "--max-retries"),
        (["ws://127.0.0.1:1/", "--overflow", "explode"], "drop-oldest"),
        (["ws://127.0.0.1:1/", "--buffer", "0"], "buffer"),
        (["ws://127.0.0.1:1/", "--count", "x"], "--count"),
        (["ws://127.0.0.1:1/", "--max-frame", "0"], "frame"),
        (["wss://127.0.0.1:1/", "--cert", "/dev/null"], "--key"),
        (["ws://127.0.0.1:1/", "--header", "X-Env: env:TIDEGATE_PEERS_UNSET"], "x-env"),
        (["ws://127.0.0.1:1/", "--header", "X-File: @/nonexistent/file"], "x-file"),
        (["ws://127.0.0.1:1/", "--nonsense"], "--nonsense"),
    ],
    ids=lambda value: " ".join(value).removeprefix("ws://127.0.0.1:1/ ") or "nothing" if isinstance(value, list) else "",
)
def test_wrong_usage(command, arguments, named):
    running = command("tail", *arguments)
    assert running.finish(2, timeout=5) == []
    assert named.lower() in running.stderr.lower(), running.stderr
