"""The feed: throughput and order, dead and half-dead servers, and consumers that do not read."""

import asyncio
import json
import signal
import socket
import struct
import subprocess
import time
from collections import Counter

import aiohttp.web
import pytest
from harness import (
    BINARY,
    CLOCK_SLACK,
    accept_upgrade,
    client_sockets,
    closed_port,
    events,
    notices,
    settled,
    until_eof,
)

MESSAGES = 100_000


async def numbered(send, count):
    for n in range(count):
        await send(f'{{"n":{n},"price":"42.17","side":"buy"}}')


@pytest.mark.parametrize("author", ["websockets", "aiohttp"])
def test_100000_messages_in_order(peers, tail, figure, tmp_path, author):
    async def with_websockets(ws, number, record):
        await numbered(ws.send, MESSAGES)
        await ws.wait_closed()
        record.add("closed", number, ws.protocol.close_rcvd.code)

    async def with_aiohttp(request, number, record):
        ws = aiohttp.web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        record.add("opened", number)
        await numbered(ws.send_str, MESSAGES)
        await ws.receive()
        record.add("closed", number, ws.close_code)
        return ws

    server = peers.websockets(with_websockets) if author == "websockets" else peers.aiohttp(with_aiohttp)
    written = tmp_path / "out"
    with written.open("wb") as file:
        running = tail(server, "--count", MESSAGES, stdout=file)
        running.finish(0, timeout=60)
    span = time.monotonic() - server.record.wait("opened")[0].at

    expected = "".join(f'{{"n":{n},"price":"42.17","side":"buy"}}\n' for n in range(MESSAGES))
    assert written.read_text() == expected
    assert len(server.record.all("opened")) == 1, "it reconnected"
    assert server.record.wait("closed")[0].value == 1000
    figure(f"{MESSAGES:,} lines in order in {span:.2f} s, {MESSAGES / span:,.0f} a second, exit code 0")


def test_a_lone_message_is_written_at_once(peers, tail, figure):
    async def handler(ws, number, record):
        record.add("sent", number)
        await ws.send("only")
        await ws.wait_closed()

    server = peers.websockets(handler)
    running = tail(server)
    at, line = running.output.at(0)
    assert line == "only"
    after = at - server.record.wait("sent")[0].at
    # The promise is 100 ms; the rest is for a busy machine.
    assert after < 0.3
    figure(f"written {after * 1000:.0f} ms after it was sent")
    running.stop()


@pytest.mark.parametrize("manner", ["mute", "dribbling"])
def test_an_upgrade_that_is_never_answered(peers, tail, figure, manner):
    """One deadline over the whole of connecting (C3), then the backoff; no two connections at a time (C1)."""

    async def handler(reader, writer, number, record):
        if manner == "dribbling":

            async def dribble():
                for byte in b"HTTP/1.1 101 Switching Protocols\r\nX-Slow: " + b"x" * 1000:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.05)

            task = asyncio.ensure_future(dribble())
            await until_eof(reader)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        else:
            await until_eof(reader)

    server = peers.tcp(handler)
    running = tail(server, "--connect-timeout", "500ms", "--retry", "fixed:300ms", "--max-retries", 3)
    running.finish(1)

    accepted = [seen.at for seen in server.record.wait("accepted", 4)]
    ended = [seen.at for seen in server.record.wait("ended", 4)]
    gaps = [after - before for before, after in zip(accepted, accepted[1:])]
    figure("attempts at the server spaced " + ", ".join(f"{gap:.3f}" for gap in gaps) + " s; expected 0.800")
    assert all(0.8 - CLOCK_SLACK <= gap < 1.1 for gap in gaps), gaps
    assert all(end < start for end, start in zip(ended, accepted[1:])), "a new attempt before the old socket's end"
    assert len(server.record.all("accepted")) == 4, "1 + --max-retries attempts"
    assert "timeout" in running.stderr.lower() or "timed out" in running.stderr.lower()


def test_accepting_and_closing_at_once_does_not_end_the_streak(peers, tail, figure, tmp_path):
    async def handler(ws, number, record):
        pass

    server = peers.websockets(handler)
    telemetry = tmp_path / "telemetry"
    running = tail(server, "--retry", "exponential:100ms..2s", "--telemetry", telemetry)
    server.record.wait("request")
    server.record.none_within("request", more_than=40, span=6.0)
    running.stop()

    at = [seen.at for seen in server.record.all("request")]
    gaps = [after - before for before, after in zip(at, at[1:])]
    retries = events(notices(telemetry), "retry")
    figure(
        f"{len(at)} attempts in 6 s; spaced "
        + ", ".join(f"{gap:.2f}" for gap in gaps)
        + " s; delays drawn "
        + ", ".join(f"{retry['delay_ms']:.0f}" for retry in retries)
        + " ms"
    )
    # Without backoff each delay would be 50 ms on average: more than a hundred attempts.
    assert len(at) >= 4
    assert [retry["attempt"] for retry in retries] == list(range(1, len(retries) + 1)), "the streak was reset"
    for step, retry in enumerate(retries):
        assert 0 <= retry["delay_ms"] <= min(100 * 2**step, 2000), retry
    for gap, retry in zip(gaps, retries):
        assert gap >= retry["delay_ms"] / 1000 - CLOCK_SLACK, "an attempt before the delay was over (R7)"
    assert len(gaps) in (len(retries), len(retries) - 1)


def test_a_silent_server_is_left_once_after_the_idle_timeout(peers, tail, figure):
    async def handler(ws, number, record):
        if number == 1:
            await ws.send("the last one")
            record.add("silent", number)
            await ws.wait_closed()
        while True:
            await ws.send("still here")
            await asyncio.sleep(0.25)

    server = peers.websockets(handler)
    running = tail(server, "--ping-interval", "off", "--idle-timeout", "2s", "--retry", "fixed:50ms")
    silent = server.record.wait("silent")[0].at
    ended = server.record.wait("ended")[0].at
    reconnected = server.record.wait("request", 2)[1].at
    server.record.wait("opened", 2)
    sockets = client_sockets(server.port)
    figure(
        f"last message to end of socket {ended - silent:.3f} s, to the next attempt {reconnected - silent:.3f} s; "
        f"sockets of the client then: {sockets}"
    )
    assert 2.0 - CLOCK_SLACK <= ended - silent <= 2.1
    assert 2.05 - CLOCK_SLACK <= reconnected - silent <= 2.2
    assert sockets == ["ESTAB"]

    # Longer than the idle timeout: a second reconnect would show.
    server.record.none_within("request", more_than=2, span=3.0)
    assert client_sockets(server.port) == ["ESTAB"]
    lines = running.stop()
    assert lines[0] == "the last one" and set(lines[1:]) == {"still here"}


@pytest.mark.parametrize("size, count", [(1024, 60_000), (65536, 1_500)])
def test_a_consumer_that_stops_reading(peers, tail, figure, size, count):
    """Backpressure reaches the server, memory stays bounded, and reading on shows that nothing was lost (D1-D4)."""
    sent = 0

    async def handler(ws, number, record):
        nonlocal sent
        while True:
            await ws.send(f"{sent:08d}".ljust(size, "."))
            sent += 1

    server = peers.websockets(handler)
    running = tail(server, "--count", count, read=False)
    server.record.wait("opened")
    stalled = settled(lambda: sent, still_for=2.0)
    now, high = running.memory()
    figure(
        f"{size} B: sends stalled after {stalled:,} messages, {stalled * size / 1e6:.1f} MB; "
        f"resident {now / 1e6:.1f} MB, at most {high / 1e6:.1f} MB"
    )
    assert stalled < count, "the whole feed went through: nothing was held back"
    assert high < 40e6

    running.read()
    lines = running.finish(0, timeout=60)
    assert [int(line[:8]) for line in lines] == list(range(count))
    assert all(len(line) == size for line in lines)
    assert len(server.record.all("opened")) == 1, "it reconnected"
    assert running.process.returncode == 0


def test_items_dropped_are_announced_in_their_place(peers, tail, figure):
    total = 150_000
    sent = 0

    async def handler(ws, number, record):
        nonlocal sent
        for n in range(total):
            await ws.send(f"{n}")
            sent += 1
        record.add("all sent", number)
        await ws.wait_closed()

    server = peers.websockets(handler)
    running = tail(server, "--json", "--overflow", "drop-oldest", "--buffer", 64, read=False)
    server.record.wait("all sent", timeout=40)
    running.read()

    expected, dropped, received = 0, 0, 0
    index = 0
    while expected < total:
        item = json.loads(running.output.at(index)[1])
        index += 1
        if "text" in item:
            assert int(item["text"]) == expected, f"a gap of {int(item['text']) - expected} without announcement"
            expected += 1
            received += 1
        elif "dropped" in item:
            expected += item["dropped"]
            dropped += item["dropped"]
        else:
            assert item in ({"opened": 1}, {"live": 1})
    figure(f"{total:,} sent, {received:,} received, {dropped:,} announced as dropped, none unaccounted for")
    assert dropped > 0 and received + dropped == total
    running.stop()


def test_a_head_that_has_enough(peers, figure):
    """`tidegate tail … | head -1`: a closed pipe is a normal end."""

    async def handler(ws, number, record):
        while True:
            await ws.send("tick")
            await asyncio.sleep(0.02)

    server = peers.websockets(handler)
    done = subprocess.run(
        ["bash", "-c", f'"{BINARY}" tail "{server.url}" | head -1; echo "${{PIPESTATUS[*]}}"'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=10,
    )
    assert done.stdout.splitlines() == ["tick", "0 0"], (done.stdout, done.stderr)
    assert "panicked" not in done.stderr
    assert server.record.wait("ended")[0].value in (1000, 1001), "no clean close"
    figure("exit codes 0 0")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_closes_cleanly(peers, tail, figure, number):
    async def handler(ws, connection, record):
        await ws.send("hello")
        await ws.wait_closed()

    server = peers.websockets(handler)
    running = tail(server)
    running.output.at(0)
    begun = time.monotonic()
    running.send_signal(number)
    assert running.finish(0) == ["hello"]
    span = time.monotonic() - begun
    assert server.record.wait("ended")[0].value == 1000
    assert span < 2
    figure(f"Close(1000) at the server, exit code 0 after {span * 1000:.0f} ms")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_while_waiting_for_the_next_attempt(figure, number):
    """From the first line on a signal is a clean end. Many runs, without delay: a late signal handler is a race."""
    held, port = closed_port()
    codes = Counter()
    for _ in range(50):
        with subprocess.Popen(
            [BINARY, "tail", f"ws://127.0.0.1:{port}/", "--retry", "fixed:60s"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as running:
            assert b"refused" in running.stderr.readline().lower()
            running.send_signal(number)
            try:
                codes[running.wait(3)] += 1
            finally:
                running.kill()
    held.close()
    figure(f"exit codes in {codes.total()} runs: {dict(codes)}")
    assert set(codes) == {0}


def test_a_peer_that_keeps_the_socket_after_its_close(peers, tail, figure):
    """A clean stop waits for the peer's Close, but not for ever (S1)."""

    async def handler(reader, writer, number, record):
        await accept_upgrade(reader, writer)
        writer.write(b"\x81\x02hi")
        await until_eof(reader)

    server = peers.tcp(handler)
    running = tail(server)
    assert running.output.at(0)[1] == "hi"
    begun = time.monotonic()
    running.send_signal(signal.SIGTERM)
    running.finish(0, timeout=5)
    span = time.monotonic() - begun
    figure(f"exit {span:.2f} s after SIGTERM, with a server that never answers Close")
    assert 0.5 < span < 2.5


@pytest.mark.parametrize("end", [1001, 1008, 1011, "eof", "reset"])
def test_however_a_connection_ends_the_next_one_follows(peers, tail, tmp_path, figure, end):
    async def handler(ws, number, record):
        await ws.send(f"from {number}")
        if number > 1:
            await ws.wait_closed()
        elif end == "eof":
            ws.transport.write_eof()
            ws.transport.close()
        elif end == "reset":
            # Wait until what was sent has left, else the reset overtakes it.
            await (await ws.ping())
            raw = ws.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            ws.transport.abort()
        else:
            await ws.close(end, "go away")

    server = peers.websockets(handler)
    telemetry = tmp_path / "telemetry"
    running = tail(server, "--retry", "fixed:50ms", "--count", 2, "--telemetry", telemetry)
    assert running.finish(0) == ["from 1", "from 2"]
    if isinstance(end, int):
        assert str(end) in running.stderr, running.stderr
    found = notices(telemetry)
    assert len(events(found, "success")) == 2
    assert len(events(found, "retry")) == 1
    first, second = (seen.at for seen in server.record.wait("request", 2))
    assert second - first >= 0.05 - CLOCK_SLACK
    figure(f"{end}: next attempt {(second - first) * 1000:.0f} ms after the first; backoff 50 ms")


def test_pings_are_answered(peers, tail, figure):
    async def handler(ws, number, record):
        trips = []
        for _ in range(20):
            begun = time.monotonic()
            await asyncio.wait_for(await ws.ping(), 2)
            trips.append(time.monotonic() - begun)
        record.add("trips", number, trips)
        await ws.send("done")
        await ws.wait_closed()

    server = peers.websockets(handler)
    assert tail(server, "--count", 1).finish(0) == ["done"]
    trips = sorted(server.record.wait("trips")[0].value)
    figure(f"20 pings answered, median {trips[10] * 1000:.2f} ms, worst {trips[-1] * 1000:.2f} ms")


def test_unanswered_pings_end_the_connection(peers, tail, tmp_path, figure):
    """A half-open peer: it accepts everything and answers nothing (L3)."""

    async def handler(reader, writer, number, record):
        await accept_upgrade(reader, writer)
        record.add("upgraded", number)
        if number > 1:
            writer.write(b"\x81\x02ok")
        await until_eof(reader)

    server = peers.tcp(handler)
    telemetry = tmp_path / "telemetry"
    running = tail(
        server,
        *("--ping-interval", "500ms", "--pong-timeout", "300ms", "--retry", "fixed:50ms"),
        *("--json", "--telemetry", telemetry),
    )
    begun = server.record.wait("upgraded")[0].at
    ended = server.record.wait("ended")[0].at
    assert [json.loads(running.output.at(index)[1]) for index in range(5)] == [
        {"opened": 1},
        {"live": 1},
        {"interrupted": 1, "reason": "pong_timeout"},
        {"opened": 2},
        {"live": 2},
    ]
    figure(f"ended {ended - begun:.3f} s after the upgrade; expected 0.800")
    assert 0.8 - CLOCK_SLACK <= ended - begun < 1.0
    running.stop()
    assert events(notices(telemetry), "timeout")


def test_answered_pings_give_round_trips(peers, tail, tmp_path):
    async def handler(ws, number, record):
        await ws.wait_closed()

    server = peers.websockets(handler)
    running = tail(server, "--ping-interval", "100ms", "--pong-timeout", "1s", "-q", "--telemetry", "-")
    pongs = 0
    for index in range(200):
        pongs += '"event":"pong"' in running.errors.at(index)[1].replace(" ", "")
        if pongs == 3:
            break
    assert pongs == 3
    running.stop()
    assert len(server.record.all("request")) == 1


def test_a_mute_feed_is_stale_although_pings_come(peers, tail, figure):
    """Pings count as heard (L1), but a feed that gives no item is stale (L4)."""

    async def handler(ws, number, record):
        record.add("item", number)
        await ws.send("item")
        while True:
            await ws.ping()
            await asyncio.sleep(0.05)

    server = peers.websockets(handler)
    running = tail(server, "--json", "--ping-interval", "off", "--idle-timeout", "400ms", "--stale-after", "1s", "--retry", "fixed:50ms")
    item = server.record.wait("item")[0].at
    ended = server.record.wait("ended")[0].at
    assert json.loads(running.output.at(3)[1]) == {"interrupted": 1, "reason": "stale"}
    figure(f"ended {ended - item:.3f} s after the last item; expected 1.000")
    assert 1.0 - CLOCK_SLACK <= ended - item < 1.2
    running.stop()


def test_a_frame_above_the_limit(peers, tail, tmp_path, figure):
    async def handler(ws, number, record):
        await ws.send("x" * (2 << 20) if number == 1 else "small")
        await ws.wait_closed()

    server = peers.websockets(handler)
    running = tail(server, "--max-frame", 65536, "--retry", "fixed:50ms", "--json", "--count", 1)
    lines = [json.loads(line) for line in running.finish(0)]
    assert lines[:3] == [{"opened": 1}, {"live": 1}, {"interrupted": 1, "reason": "too_long"}]
    assert lines[5]["text"] == "small"
    figure("2 MiB frame against a limit of 64 KiB: too_long, reconnect")


def test_a_closed_port(tail, tmp_path, figure):
    held, port = closed_port()
    telemetry = tmp_path / "telemetry"
    running = tail(
        f"ws://127.0.0.1:{port}/", "--max-retries", 2, "--retry", "fixed:100ms", "--telemetry", telemetry
    )
    assert running.finish(1) == []
    span = time.monotonic() - running.started
    held.close()
    found = notices(telemetry)
    assert len(events(found, "failure")) == 3
    assert [(retry["attempt"], retry["delay_ms"]) for retry in events(found, "retry")] == [(1, 100), (2, 100)]
    assert "refused" in running.stderr.lower()
    # At once after the last attempt, without one more wait (R2).
    assert 0.2 - CLOCK_SLACK <= span < 0.3 + 0.5
    figure(f"3 attempts, exit code 1 after {span:.2f} s: {running.errors.texts[-1]}")
