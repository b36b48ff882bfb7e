"""Standard output and signals: what is written, to whom, and how the command ends when nobody takes it."""

import contextlib
import errno
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time
from pathlib import Path

import pytest
from harness import BINARY, settled

HOSTILE = "\x1b]0;PWNED\x07\x1b[31mred \x9b31m \u202eABC \u2066\u2028x\x85y\rz\x7f"
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# What indicatif writes for the live status line.
STATUS_LINE = re.compile(r"\x1b\[\d*[A-Z]|\r\n?|\x1b\[[0-9;]*m")


# Messages of 1 kB: more than a pipe takes, less than the queue.
MANY = 800


def sends(*messages):
    """A handler that sends these messages, then nothing."""

    async def handler(ws, number, record):
        for message in messages:
            await ws.send(message)
        # The pong comes when all before it has been read.
        await (await ws.ping())
        record.add("read", number)
        await ws.wait_closed()

    return handler


class Terminal:
    """The command with both outputs on a terminal of its own."""

    def __init__(self, *arguments, env=None):
        self.master, slave = pty.openpty()
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        environment |= {"TERM": "xterm-256color"} | (env or {})
        self.process = subprocess.Popen(
            [BINARY, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env=environment
        )
        self.slave = slave

    def stop_output(self):
        """What ^S does: writes wait from now on."""
        termios.tcflow(self.slave, termios.TCOOFF)

    def read_until(self, done, timeout=10.0):
        """Reads until what was read satisfies `done`, or the command has ended and all is read."""
        seen, end = "", time.monotonic() + timeout
        while not done(seen) and time.monotonic() < end:
            ended = self.process.poll() is not None
            if select.select([self.master], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    seen += os.read(self.master, 65536).decode()
                    continue
            if ended:
                return seen
        assert time.monotonic() < end, f"not within {timeout} s: {seen!r}"
        return seen

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def terminal(peers):
    """Starts the command on a terminal."""
    running = []

    def start(*arguments, **options):
        running.append(Terminal(*arguments, **options))
        return running[-1]

    yield start
    for each in running:
        each.close()


@pytest.fixture
def pipe():
    """A pipe: its two ends, closed at the end of the check."""
    read, write = os.pipe()
    yield read, write
    for end in (read, write):
        with contextlib.suppress(OSError):
            os.close(end)


def fill(end):
    """Waits until no more is written to a pipe that nobody reads."""
    held = lambda: int.from_bytes(fcntl.ioctl(end, termios.FIONREAD, b"\0" * 4), "little")  # noqa: E731
    assert settled(held, still_for=0.3) > 0


def drain(end):
    """All that a pipe still holds; its writers are gone."""
    return b"".join(iter(lambda: os.read(end, 65536), b""))


def test_jq_reads_what_encoders_send(peers, figure):
    """Go's encoder ends each message with a line break, and a pretty-printer puts them inside."""
    assert shutil.which("jq"), "`jq` is missing: install jq"
    values = [{"n": n, "text": "a\nb\u2028", "list": [1, 2]} for n in range(50)]
    forms = [
        lambda value: json.dumps(value) + "\n",
        lambda value: json.dumps(value, indent=2),
        lambda value: json.dumps(value, indent="\t", ensure_ascii=False) + "\r\n",
    ]
    server = peers.websockets(sends(*(form(value) for value in values for form in forms)))
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"{BINARY}" tail "{server.url}" --count {3 * len(values)} -q | jq -c .'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [value for value in values for _ in forms]
    figure(f"{3 * len(values)} messages in 3 layouts, all through jq")


def test_plain_output_is_what_came(peers, tail, pipe):
    read, write = pipe
    messages = ["a", "b\n", "", "c\nd", "e\r\n", HOSTILE, b"\x00\xff"]
    server = peers.websockets(sends(*messages))
    running = tail(server, "--count", len(messages), stdout=write)
    os.close(write)
    running.finish(0)
    assert drain(read) == ("a\nb\n\nc\nd\ne\r\n" + HOSTILE + "\nAP8=\n").encode()


def test_compact_lines(peers, tail):
    """One line for each JSON message; no number, key or order changes."""
    messages = ['{\n  "b": 1.0,\n  "a": 12345678901234567890.10,\n  "b": "x  \\" y"\n}\n', "not  json", "[ ]"]
    server = peers.websockets(sends(*messages))
    running = tail(server, "--compact", "--count", 3)
    assert running.finish(0) == ['{"b":1.0,"a":12345678901234567890.10,"b":"x  \\" y"}', "not  json", "[]"]
    both = tail(server, "--compact", "--json")
    both.finish(2)
    assert "--json" in both.stderr


@pytest.mark.parametrize("form", [[], ["--json"], ["--compact"]], ids=["plain", "json", "compact"])
def test_nothing_of_a_server_acts_on_a_terminal(peers, terminal, form):
    async def handler(ws, number, record):
        await ws.send(json.dumps(HOSTILE, ensure_ascii=False))
        await ws.send(HOSTILE)
        await ws.send('{\n\t"pretty": true\n}')
        await ws.close(1008, "bad \x1b[31mreason\u202e")

    server = peers.websockets(handler)
    screen = terminal("tail", server.url, "--max-retries", 0, *form).read_until(lambda seen: False)
    assert "PWNED" in screen and "reason" in screen
    if form != ["--json"]:
        assert '"pretty":true' in screen if form else '{\r\n\t"pretty": true\r\n}' in screen
    assert ACTS.search(STATUS_LINE.sub("", screen)) is None, repr(screen)
    assert "\x1b[31m" not in re.sub(r"\x1b\[1m\x1b\[31m|\x1b\[31m(?=attempt|disconnected)", "", screen), repr(screen)


def test_a_reader_that_is_slow_loses_nothing_at_a_signal_in_time(peers, tail, pipe):
    """A reader that comes back within the grace gets all of it, exit code 0."""
    read, write = pipe
    server = peers.websockets(sends(*(f"{n:04}:" + "x" * 1000 for n in range(MANY))))
    running = tail(server, "--buffer", 2 * MANY, stdout=write)
    os.close(write)
    server.record.wait("read")
    running.send_signal(signal.SIGINT)
    server.record.wait("ended")
    lines = drain(read).decode().splitlines()
    running.finish(0)
    assert [int(line[:4]) for line in lines] == list(range(MANY))


@pytest.mark.parametrize("number_of_signals", [1, 2])
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["plain", "json"])
def test_what_is_not_written_is_said(peers, tail, figure, pipe, form, number_of_signals):
    """The reader stops reading: whole lines alone are in the pipe, and the rest is counted."""
    read, write = pipe
    server = peers.websockets(sends(*(f"{n:04}:" + "x" * 1000 for n in range(MANY))))
    running = tail(server, "--buffer", 2 * MANY, *form, stdout=write)
    os.close(write)
    server.record.wait("read")
    fill(read)
    begun = time.monotonic()
    running.send_signal(signal.SIGINT)
    server.record.wait("ended")
    if number_of_signals == 2:
        running.send_signal(signal.SIGTERM)
    running.finish(1, timeout=6)
    took = time.monotonic() - begun
    written = drain(read)
    assert written.endswith(b"\n")
    said = re.search(r"not written: (\d+) lines \((\d+) bytes\) and (\d+) more items$", running.errors.texts[-1])
    assert said, running.stderr
    # Each marker at the start is a line of its own.
    markers = written.count(b'{"opened"') + written.count(b'{"live"')
    assert written.count(b"\n") - markers + int(said[1]) + int(said[3]) == MANY
    assert took < (2 if number_of_signals == 2 else 5)
    figure(f"{took:.2f} s; {running.errors.texts[-1]}")


def test_a_line_that_the_end_cuts_is_said(peers, tail, pipe):
    read, write = pipe
    server = peers.websockets(sends("x" * 300_000))
    running = tail(server, stdout=write)
    os.close(write)
    server.record.wait("read")
    fill(read)
    running.send_signal(signal.SIGINT)
    server.record.wait("ended")
    running.send_signal(signal.SIGINT)
    running.finish(1, timeout=5)
    written = drain(read)
    assert 0 < len(written) < 300_001
    assert f"not written: 1 line ({300_001 - len(written)} bytes)" in running.stderr
    assert running.stderr.endswith("the last line written is incomplete")


def test_standard_output_that_somebody_made_non_blocking(peers, tail, pipe):
    """Another program that shares it may: a full pipe is waited for all the same."""
    read, write = pipe
    os.set_blocking(write, False)
    server = peers.websockets(sends(*(f"{n:04}:" + "x" * 1000 for n in range(MANY))))
    running = tail(server, "--count", MANY, stdout=write)
    server.record.wait("read")
    fill(read)
    os.close(write)
    lines = drain(read).decode().splitlines()
    running.finish(0)
    assert [int(line[:4]) for line in lines] == list(range(MANY))


def sockets():
    return (end.detach() for end in socket.socketpair())


@pytest.mark.parametrize("make", [os.pipe, sockets, pty.openpty], ids=["pipe", "socket", "terminal"])
def test_a_reader_that_goes_ends_a_quiet_feed(peers, tail, figure, make):
    read, write = make()
    server = peers.websockets(sends("one"))
    running = tail(server, stdout=write)
    os.close(write)
    assert os.read(read, 100).split() == [b"one"]
    time.sleep(0.3)  # Quiet: the write is over, and nothing but the reader's end happens.
    begun = time.monotonic()
    os.close(read)
    running.finish(0, timeout=5)
    assert server.record.wait("ended")[0].value == 1000
    figure(f"gone {time.monotonic() - begun:.2f} s after its reader, with nothing to write")


def test_a_full_disk(peers, tail, figure):
    server = peers.websockets(sends("one", "two"))
    with open("/dev/full", "wb") as full:
        running = tail(server, stdout=full)
        running.finish(1, timeout=5)
    last = running.errors.texts[-1]
    assert os.strerror(errno.ENOSPC) in last and "not written: " in last
    assert server.record.wait("ended")[0].value == 1000
    figure(last)


def test_a_file_that_may_not_grow(peers, figure, tmp_path):
    """As on a disk that is full in the middle of a line."""
    total = 100
    server = peers.websockets(sends(*(f"{n:03}:" + "x" * 999 for n in range(total))))
    file = tmp_path / "out"
    limited = f'trap "" XFSZ; ulimit -f 8; exec "{BINARY}" tail "{server.url}" --count {total} >"{file}"'
    done = subprocess.run(["bash", "-c", limited], stderr=subprocess.PIPE, text=True, timeout=10)
    last = done.stderr.splitlines()[-1]
    figure(last)
    written = file.read_bytes()
    assert done.returncode == 1 and os.strerror(errno.EFBIG) in last
    said = re.search(r"not written: (\d+) lines \((\d+) bytes\).*; the last line written is incomplete$", last)
    assert said and not written.endswith(b"\n")
    # What the feed had not handed over by then is no part of either.
    lines = written.count(b"\n") + int(said[1])
    assert len(written) + int(said[2]) == lines * 1004


@pytest.mark.parametrize("option", ["--telemetry", "--ca", "--cert", "--header"])
def test_a_fifo_that_nobody_opens(tail, figure, tmp_path, option):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    more = [] if option != "--cert" else ["--key", fifo]
    value = f"X-Key: @{fifo}" if option == "--header" else fifo
    running = tail("wss://127.0.0.1:1/", option, value, *more)
    # It is in the call that opens it once the kernel says so.
    tasks = Path(f"/proc/{running.process.pid}/task")
    end = time.monotonic() + 10
    while not any("wait_for_partner" in (task / "wchan").read_text() for task in tasks.iterdir()):
        assert time.monotonic() < end, "it does not open the FIFO"
        time.sleep(0.01)
    begun = time.monotonic()
    running.send_signal(signal.SIGINT)
    running.finish(0, timeout=5)
    figure(f"{option}: gone {time.monotonic() - begun:.2f} s after the signal")


@pytest.mark.parametrize("number_of_signals", [1, 2])
def test_a_terminal_that_is_stopped(peers, terminal, figure, number_of_signals):
    """^S on the terminal of standard output and standard error."""

    async def handler(ws, number, record):
        with contextlib.suppress(Exception):
            while True:
                await ws.send("x" * 1000)
                record.add("sent", number)

    server = peers.websockets(handler)
    running = terminal("tail", server.url)
    running.read_until(lambda seen: "xxx" in seen)
    running.stop_output()
    sent = lambda: len(server.record.all("sent"))  # noqa: E731
    settled(sent, still_for=0.5)
    begun = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    if number_of_signals == 2:
        time.sleep(0.1)  # Two of the same at once may be one.
        running.process.send_signal(signal.SIGINT)
    assert running.process.wait(8) == 1
    took = time.monotonic() - begun
    figure(f"{number_of_signals} x SIGINT: gone {took:.2f} s after the first, exit code 1")
    assert took < (2.5 if number_of_signals == 2 else 6)


def test_the_account_of_the_demo_adds_up(figure):
    done = subprocess.run(
        [BINARY, "demo", "--duration", "8s", "--color", "always"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=40,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(re.findall(r"^ *(\S.*?) +(\d+)$", done.stdout, re.MULTILINE))
    made, unsent, sent, received, lost, silent, under_way = (
        int(rows[name])
        for name in (
            "items the exchange made",
            "not sent, for want of a connection",
            "sent",
            "received",
            "lost in announced gaps",
            "lost without an announcement",
            "on their way when the demo ended",
        )
    )
    assert made == unsent + sent
    assert sent == received + lost + silent + under_way
    assert (silent, under_way) == (0, 0)
    # Phases and faults are in color.
    assert re.search(r"\x1b\[32mlive\x1b\[0m: connection", done.stderr)
    assert re.search(r"server: \x1b\[1m\x1b\[31mFAULT", done.stderr)
    assert re.search(r"\x1b\[32m +[\d.]+s\x1b\[0m", done.stdout)
    figure(f"{made:,} made, {unsent} not sent, {sent:,} sent, {received:,} received, {lost} lost")


@pytest.mark.parametrize(
    "arguments, environment, colored",
    [([], {}, True), ([], {"NO_COLOR": "1"}, False), (["--color", "never"], {}, False)],
    ids=["terminal", "NO_COLOR", "--color never"],
)
def test_the_demo_is_in_color_on_a_terminal(terminal, arguments, environment, colored):
    screen = terminal("demo", "--duration", "1s", *arguments, env=environment).read_until(lambda seen: False)
    assert bool(re.search(r"\x1b\[3\dm", screen)) == colored
