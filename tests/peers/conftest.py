"""Fixtures of the checks of the command; see harness.py."""

import sys

sys.dont_write_bytecode = True

import pytest  # noqa: E402
from harness import BINARY, Command, Peers, Server  # noqa: E402

FIGURES = pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[FIGURES] = []


def pytest_sessionstart(session):
    if not BINARY.is_file():
        pytest.exit(f"{BINARY} does not exist: build it with `cargo build --release -p tidegate-cli`", returncode=2)


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash[FIGURES]
    if figures:
        terminalreporter.section("measured")
        for name, text in figures:
            terminalreporter.write_line(f"{name}: {text}")


@pytest.fixture
def figure(request):
    """Writes down what a check measured; shown after the run, whether it passed or not."""
    return lambda text: request.config.stash[FIGURES].append((request.node.name.removeprefix("test_"), text))


@pytest.fixture
def peers():
    """Servers of other authors."""
    servers = Peers()
    yield servers
    servers.close()


@pytest.fixture
def command(peers):
    """Starts the command with any arguments. It ends before the servers do."""
    running = []

    def start(*arguments, **options):
        running.append(Command(*arguments, **options))
        return running[-1]

    yield start
    for each in running:
        each.kill()
    for each in running:
        assert "panicked" not in each.stderr, each.stderr
        assert "\x1b" not in each.stderr and "\r" not in each.stderr, "terminal output although nobody sits at one"


@pytest.fixture
def tail(command):
    """Starts `tidegate tail` at a server or a URL."""

    def start(target, *arguments, **options):
        return command("tail", target.url if isinstance(target, Server) else target, *arguments, **options)

    return start
