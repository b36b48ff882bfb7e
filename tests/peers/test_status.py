"""Servers that refuse the upgrade with an HTTP status."""

import email.utils
import re
import time

import aiohttp.web
import pytest
from harness import CLOCK_SLACK, events, notices


def refusing(times, status, headers=None):
    """Refuses so many upgrades, then accepts and sends one message."""

    async def handler(request, number, record):
        if number <= times:
            made = headers() if headers else {}
            record.add("refused", number, made)
            return aiohttp.web.Response(status=status, headers=made)
        ws = aiohttp.web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        await ws.send_str("welcome")
        await ws.receive()
        return ws

    return handler


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_status_that_no_retry_mends(peers, tail, figure, status):
    server = peers.aiohttp(refusing(100, status))
    running = tail(server, "--retry", "fixed:10ms", "--header", "Authorization: Bearer hush-hush")
    assert running.finish(1) == []
    last = running.errors.texts[-1]
    figure(f"{status}: {len(server.record.all('request'))} attempt, exit code 1: {last}")
    assert len(server.record.all("request")) == 1
    assert str(status) in last
    assert "hush-hush" not in running.stderr
    if status == 401:
        assert re.search(r"--header|credential|token", running.stderr), "it does not say what to do"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_waited_for(peers, tail, figure, status, form):
    def headers():
        if form == "seconds":
            return {"Retry-After": "2"}
        # Dates have whole seconds: this one is between 1 and 2 s ahead.
        return {"Retry-After": email.utils.formatdate(int(time.time()) + 2, usegmt=True)}

    server = peers.aiohttp(refusing(1, status, headers))
    running = tail(server, "--retry", "fixed:50ms", "--count", 1)
    assert running.finish(0) == ["welcome"]
    first, second = server.record.wait("request", 2)
    gap = second.at - first.at
    if form == "seconds":
        least = 2.0
    else:
        wanted = email.utils.parsedate_to_datetime(server.record.all("refused")[0].value["Retry-After"]).timestamp()
        least = wanted - (time.time() - time.monotonic()) - first.at
    figure(f"{status}, {form}: next attempt after {gap:.3f} s, asked for {least:.3f} s")
    assert least - CLOCK_SLACK <= gap < least + 1.2


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_a_status_that_is_retried(peers, tail, figure, tmp_path, status):
    server = peers.aiohttp(refusing(3, status))
    telemetry = tmp_path / "telemetry"
    running = tail(server, "--retry", "exponential:100ms..1s", "--count", 1, "--telemetry", telemetry)
    assert running.finish(0) == ["welcome"]
    at = [seen.at for seen in server.record.wait("request", 4)]
    gaps = [after - before for before, after in zip(at, at[1:])]
    found = notices(telemetry)
    retries = events(found, "retry")
    assert [retry["attempt"] for retry in retries] == [1, 2, 3]
    assert len(events(found, "failure")) == 3 and len(events(found, "success")) == 1
    for gap, retry, limit in zip(gaps, retries, (100, 200, 400)):
        assert retry["delay_ms"] <= limit
        assert retry["delay_ms"] / 1000 - CLOCK_SLACK <= gap < retry["delay_ms"] / 1000 + 0.3
    spaced = ", ".join(f"{gap:.3f}" for gap in gaps)
    delays = ", ".join(f"{retry['delay_ms']:.0f}" for retry in retries)
    figure(f"{status}: spaced {spaced} s, delays {delays} ms, then live")


def test_a_503_backs_off_by_the_fixed_delay(peers, tail, figure):
    server = peers.aiohttp(refusing(3, 503))
    running = tail(server, "--retry", "fixed:300ms", "--count", 1)
    assert running.finish(0) == ["welcome"]
    at = [seen.at for seen in server.record.wait("request", 4)]
    gaps = [after - before for before, after in zip(at, at[1:])]
    figure("spaced " + ", ".join(f"{gap:.3f}" for gap in gaps) + " s; expected 0.300")
    assert all(0.3 - CLOCK_SLACK <= gap < 0.5 for gap in gaps)


def test_refusals_up_to_the_limit(peers, tail, figure):
    server = peers.aiohttp(refusing(100, 503))
    running = tail(server, "--retry", "fixed:20ms", "--max-retries", 4)
    assert running.finish(1) == []
    assert len(server.record.all("request")) == 5
    assert "503" in running.errors.texts[-1]
    figure(f"5 attempts, exit code 1: {running.errors.texts[-1]}")
