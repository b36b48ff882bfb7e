"""What the options of `tail` do at a server: frames and credentials from elsewhere, what is retried, and what stops it."""

import aiohttp
import aiohttp.web
import pytest
from harness import events, notices

SECRET = "S3CRET"


async def accepted(request, text="hello"):
    ws = aiohttp.web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    await ws.send_str(text)
    await ws.receive()
    return ws


def test_frames_from_everywhere(peers, tail, tmp_path):
    """A file loses the line break at its end; all else is as it was given."""
    (tmp_path / "frame").write_bytes(b'{\n  "op": "subscribe"\n}\n')

    async def handler(ws, number, record):
        record.add("frames", number, [await ws.recv() for _ in range(6)])
        await ws.send("done")
        await ws.wait_closed()

    server = peers.websockets(handler)
    running = tail(
        server,
        *("--send", f"@{tmp_path / 'frame'}"),
        *("--send", "env:TIDEGATE_PEERS_FRAME"),
        *("--send", "base64:AP/+"),
        *("--send", "text:@literal"),
        *("--send", "plain: text"),
        *("--send=-1", "--count", 1),
        env={"TIDEGATE_PEERS_FRAME": "from the environment"},
    )
    assert running.finish(0) == ["done"]
    assert server.record.all("frames")[0].value == [
        '{\n  "op": "subscribe"\n}',
        "from the environment",
        b"\x00\xff\xfe",
        "@literal",
        "plain: text",
        "-1",
    ]


@pytest.mark.parametrize("given", ["file", "variable"])
def test_basic_authentication(peers, tail, tmp_path, given):
    (tmp_path / "password").write_text(f"{SECRET}: é\n")

    async def handler(request, number, record):
        found = aiohttp.BasicAuth.decode(request.headers["Authorization"], encoding="utf-8")
        record.add("user", number, (found.login, found.password))
        return await accepted(request)

    server = peers.aiohttp(handler)
    password = f"@{tmp_path / 'password'}" if given == "file" else "env:TIDEGATE_PEERS_PASSWORD"
    env = {"TIDEGATE_PEERS_PASSWORD": f"{SECRET}: é"}
    running = tail(server, "--user", f"feed:{password}", "--count", 1, "-v", env=env)
    assert running.finish(0) == ["hello"]
    assert server.record.all("user")[0].value == ("feed", f"{SECRET}: é")
    assert SECRET not in running.stderr


def test_retry_on_a_status_that_stops_otherwise(peers, tail, tmp_path, figure):
    async def handler(request, number, record):
        if number <= 3:
            return aiohttp.web.Response(status=403 if number < 3 else 404)
        return await accepted(request)

    server = peers.aiohttp(handler)
    arguments = ["--retry", "fixed:20ms", "--count", 1]
    stopped = tail(server, *arguments, "--retry-on", "404")
    assert stopped.finish(1) == []
    figure(stopped.errors.texts[-1])
    assert "403" in stopped.errors.texts[-1] and "--retry-on 403" in stopped.errors.texts[-1]

    server = peers.aiohttp(handler)
    assert tail(server, *arguments, "--retry-on", "403,404").finish(0) == ["hello"]
    assert len(server.record.all("request")) == 4


@pytest.mark.parametrize("frames", [[], ["--send", "subscribe"]], ids=["plain", "with --send"])
def test_stop_on_a_close_that_is_retried_otherwise(peers, tail, tmp_path, figure, frames):
    async def handler(ws, number, record):
        await ws.close(1001 if number == 1 else 4001, "token expired")

    server = peers.websockets(handler)
    telemetry = tmp_path / "telemetry"
    running = tail(
        server,
        *("--stop-on-close", "1008", "--stop-on-close", "4000,4001", "--retry", "fixed:20ms"),
        *("--telemetry", telemetry, *frames),
    )
    assert running.finish(1) == []
    last = running.errors.texts[-1]
    figure(last)
    assert "4001" in last
    assert len(server.record.all("request")) == 2
    assert events(notices(telemetry), "stopped")[0]["reason"] == "fatal"


def test_advice_while_it_cannot_get_on(peers, tail, figure):
    """From the fifth failure of a kind in a row, then each time their number has doubled."""

    async def handler(request, number, record):
        return aiohttp.web.Response(status=503 if number != 3 else 502)

    server = peers.aiohttp(handler)
    running = tail(server, "--retry", "fixed:5ms", "--max-retries", 21)
    running.finish(1)
    advice = [line for line in running.errors.texts[:-1] if "--max-retries" in line]
    figure(advice[0])
    assert [line.split("] ")[1].split()[0] for line in advice] == ["5", "10", "20"]
    assert "operator" in advice[0]


def test_a_message_over_the_limit_names_the_option(peers, tail, figure):
    async def handler(ws, number, record):
        await ws.send(["x" * 600, "y" * 600] if number == 1 else "small")
        await ws.wait_closed()

    for option in ["--max-frame", "--max-message"]:
        server = peers.websockets(handler)
        running = tail(server, option, 599 if option == "--max-frame" else 1000, "--max-retries", 0)
        assert running.finish(1) == []
        figure(running.errors.texts[-1])
        assert option in running.errors.texts[-1]

    server = peers.websockets(handler)
    assert tail(server, "--max-message", 1200, "--count", 1).finish(0) == ["x" * 600 + "y" * 600]


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--header", "Authorization:", "Bearer", SECRET], "quote"),
        (["--header", "Authorization:", SECRET], "quote"),
        (["ws://127.0.0.1:1/", f"wss://127.0.0.1/?token={SECRET}"], "argument 3 of 3"),
        (["ws://127.0.0.1:1/", "--header", f"X-Key: @{SECRET}"], "x-key"),
        (["ws://127.0.0.1:1/", "--header", f"X-Key: env:{SECRET}"], "x-key"),
        (["ws://127.0.0.1:1/", "--send", f"@{SECRET}"], "text:"),
        (["ws://127.0.0.1:1/", "--send", f"base64:{SECRET}"], "base64"),
        (["ws://127.0.0.1:1/", "--user", f"me:{SECRET}"], "visible"),
        (["ws://127.0.0.1:1/", "--user", "me:@/dev/null", "--header", f"Authorization: {SECRET}"], "--user"),
        (["wss://127.0.0.1:1/", "--key", f"{SECRET}\n", "--cert", "x"], "--key"),
        (["ws://127.0.0.1:1/", "--host", f"{SECRET} x"], "--host"),
        (["ws://127.0.0.1:1/", "--connect-to", SECRET], "--connect-to"),
        (["ws://127.0.0.1:1/", "--retry-on", SECRET], "--retry-on"),
        (["ws://127.0.0.1:1/", "--stop-on-close", SECRET], "--stop-on-close"),
        (["ws://127.0.0.1:1/", f"--{SECRET}"], "dash"),
    ],
)
def test_wrong_usage_shows_no_value(command, figure, arguments, named):
    running = command("tail", *arguments)
    assert running.finish(2, timeout=5) == []
    figure(running.errors.texts[0])
    assert named.lower() in running.stderr.lower(), running.stderr
    assert SECRET.lower() not in running.stderr.lower()


def test_a_url_without_the_command(command, figure):
    running = command(f"wss://127.0.0.1/?token={SECRET}")
    running.finish(2, timeout=5)
    figure(running.errors.texts[0])
    assert "tidegate tail URL" in running.stderr and SECRET not in running.stderr
