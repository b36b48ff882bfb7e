"""wss://, with a certificate authority made for the occasion."""

import pathlib
import re
import ssl
import subprocess

import pytest
import trustme


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def context(authority, *names):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(made)
    return made


async def one(ws, number, record):
    certificate = ws.transport.get_extra_info("ssl_object").getpeercert()
    record.add("tls", number, (ws.transport.get_extra_info("ssl_object").version(), certificate))
    await ws.send("over TLS")
    await ws.wait_closed()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_known_authority(peers, tail, figure, authority, ca, host):
    server = peers.websockets(one, host=host, ssl=context(authority, host))
    assert tail(server, "--ca", ca, "--count", 1).finish(0) == ["over TLS"]
    figure(f"wss://{host}: {server.record.wait('tls')[0].value[0]}")


def refused(tail, figure, server, *arguments):
    running = tail(server, "--max-retries", 0, *arguments)
    assert running.finish(1) == []
    assert not server.record.all("request"), "an upgrade over a connection that is not verified"
    figure(running.errors.texts[-1])
    return running


def test_an_unknown_authority(peers, tail, figure, authority):
    server = peers.websockets(one, host="localhost", ssl=context(authority, "localhost"))
    running = refused(tail, figure, server)
    assert "no trusted authority has signed" in running.stderr
    assert "--ca" in running.stderr, "it does not say what to do"


def test_another_name(peers, tail, figure, authority, ca):
    server = peers.websockets(one, host="localhost", ssl=context(authority, "elsewhere.example"))
    running = refused(tail, figure, server, "--ca", ca)
    assert re.search(r"certificate|name", running.stderr, re.IGNORECASE)


def test_any_certificate(peers, tail, figure, authority):
    server = peers.websockets(one, host="localhost", ssl=context(authority, "elsewhere.example"))
    running = tail(server, "--dangerously-accept-any-certificate", "--count", 1)
    assert running.finish(0) == ["over TLS"]
    figure("accepted, as asked for")


def test_a_server_that_speaks_no_tls(peers, tail, figure, ca):
    async def handler(ws, number, record):
        await ws.wait_closed()

    server = peers.websockets(handler)
    running = tail(f"wss://127.0.0.1:{server.port}/", "--ca", ca, "--max-retries", 0)
    assert running.finish(1) == []
    assert "begins with ws://" in running.stderr
    figure(running.errors.texts[-1])


def test_debians_snakeoil_certificate(peers, tail, figure, tmp_path):
    """Signed by itself and no authority's: made from the template of the package ssl-cert."""
    template = pathlib.Path("/usr/share/ssl-cert/ssleay.cnf").read_text()
    settings, certificate, key = (tmp_path / name for name in ("openssl.cnf", "snakeoil.pem", "snakeoil.key"))
    # Not the name of this machine's own, which Debian puts among the trusted: the key would be the wrong one of that name.
    settings.write_text(template.replace("@HostName@", "snakeoil.test").replace("@SubjectAltName@", "DNS:localhost"))
    making = ["openssl", "req", "-config", settings, "-new", "-x509", "-nodes", "-out", certificate, "-keyout", key]
    subprocess.run(making, check=True, capture_output=True)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    server = peers.websockets(one, host="localhost", ssl=server_side)

    running = refused(tail, figure, server)
    assert "no trusted authority has signed" in running.stderr
    assert "or the server's own if it is self-signed" in running.stderr and "--ca" in running.stderr
    assert tail(server, "--ca", certificate, "--count", 1).finish(0) == ["over TLS"]


@pytest.mark.parametrize("options, says", [("rsa:1024", "shorter than 2048 bits"), ("rsa:2048 -sha1", "such as SHA-1")])
def test_a_certificate_that_is_too_weak(peers, tail, figure, tmp_path, options, says):
    """No signature of that kind counts, though the file is trusted. OpenSSL has to be allowed to serve it."""
    certificate, key = tmp_path / "weak.pem", tmp_path / "weak.key"
    making = ["openssl", "req", "-x509", "-newkey", *options.split(), "-nodes", "-out", certificate, "-keyout", key]
    names = ["-subj", "/CN=weak.test", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"]
    subprocess.run(making + names, check=True, capture_output=True)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.set_ciphers("ALL:@SECLEVEL=0")
    server_side.load_cert_chain(certificate, key)
    server = peers.websockets(one, host="localhost", ssl=server_side)
    running = tail(server, "--ca", certificate)
    assert running.finish(1) == []
    assert says in running.stderr
    figure(running.errors.texts[-1])


def test_a_client_certificate(peers, tail, figure, authority, ca, tmp_path):
    server_side = context(authority, "localhost")
    authority.configure_trust(server_side)
    server_side.verify_mode = ssl.CERT_REQUIRED
    server = peers.websockets(one, host="localhost", ssl=server_side)

    client = authority.issue_cert("client@example.org", common_name="feed reader")
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    for index, blob in enumerate(client.cert_chain_pems):
        blob.write_to_path(certificate, append=index > 0)
    client.private_key_pem.write_to_path(key)

    running = tail(server, "--ca", ca, "--max-retries", 0)
    assert running.finish(1) == []
    assert not server.record.all("request")
    without = running.errors.texts[-1]

    assert tail(server, "--ca", ca, "--cert", certificate, "--key", key, "--count", 1).finish(0) == ["over TLS"]
    subject = dict(pair for part in server.record.wait("tls")[0].value[1]["subject"] for pair in part)
    assert subject["commonName"] == "feed reader"
    figure(f"known at the server as {subject['commonName']!r}; without: {without}")


@pytest.mark.parametrize("options", [["--ca"], ["--cert", "--key"], ["--telemetry"]], ids=" ".join)
def test_a_file_that_cannot_be_opened(tail, tmp_path, options):
    """Said at once, with the file's name, and not retried."""
    arguments = [each for option in options for each in (option, tmp_path / "nowhere" / "nothing.pem")]
    running = tail("wss://127.0.0.1:1/", *arguments)
    assert running.finish(1, 2, timeout=5) == []
    assert "nothing.pem" in running.stderr
