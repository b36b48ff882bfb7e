use super::*;

const REQUEST: &str = "CONNECT feed.example:443 HTTP/1.1\r\nHost: feed.example:443\r\n\r\n";
const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn destination() -> Destination {
    name("feed.example", 443)
}

fn refused_with(answer: impl AsRef<[u8]>) -> (ProxyProblem, String) {
    refused(&proxy("http://proxy"), &destination(), &[hears(REQUEST), says(answer)])
}

#[test]
fn a_tunnel_is_asked_for_by_name() {
    let said = through(&proxy("http://proxy"), &destination(), &[hears(REQUEST), says(ESTABLISHED)]);
    assert_eq!(said, b"welcome.bye");
}

#[test]
fn addresses_and_ports_stand_as_in_a_url() {
    let destinations = [
        (name("::1", 8080), "[::1]:8080"),
        (name("10.0.0.1", 80), "10.0.0.1:80"),
        (address("10.0.0.1:443"), "10.0.0.1:443"),
        (address("[2001:db8::1]:443"), "[2001:db8::1]:443"),
    ];
    for (destination, authority) in destinations {
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        through(&proxy("http://proxy"), &destination, &[hears(request), says(ESTABLISHED)]);
    }
}

#[test]
fn credentials_go_along_in_basic_authentication() {
    // The example of RFC 7617 §2, and the one of its §2.1.
    let cases = [
        (proxy("http://Aladdin:open%20sesame@proxy"), "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        (proxy("http://proxy").with_credentials("test", "123£").unwrap(), "dGVzdDoxMjPCow=="),
        (proxy("http://old:old@proxy").with_credentials("a", "b").unwrap(), "YTpi"),
        (proxy("http://user@proxy"), "dXNlcjo="),
    ];
    for (proxy, token) in cases {
        let head = REQUEST.trim_end();
        let request = format!("{head}\r\nProxy-Authorization: Basic {token}\r\n\r\n");
        through(&proxy, &destination(), &[hears(request), says(ESTABLISHED)]);
    }
}

#[test]
fn what_follows_the_answer_is_the_destinations() {
    let answer = format!("{ESTABLISHED}220 ready\r\n");
    let said = through(&proxy("http://proxy"), &destination(), &[hears(REQUEST), says(answer)]);
    assert_eq!(said, b"220 ready\r\nwelcome.bye");
}

#[test]
fn any_2xx_opens_the_tunnel_and_has_no_body_whatever_it_says() {
    let answers = [
        "HTTP/1.0 200 OK\r\nVia: 1.0 x\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 299\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nProxy-Agent: x\n\n",
        "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
    ];
    for answer in answers {
        let said = through(&proxy("http://proxy"), &destination(), &[hears(REQUEST), says(answer)]);
        assert_eq!(said, b"welcome.bye", "{answer}");
    }
}

#[test]
fn refusals_are_told_apart_by_status() {
    let cases = [
        (100, ProxyProblem::Failed),
        (302, ProxyProblem::Failed),
        (400, ProxyProblem::Forbidden),
        (401, ProxyProblem::Credentials),
        (403, ProxyProblem::Forbidden),
        (405, ProxyProblem::Forbidden),
        (407, ProxyProblem::Credentials),
        (408, ProxyProblem::Failed),
        (425, ProxyProblem::Failed),
        (429, ProxyProblem::Failed),
        (499, ProxyProblem::Forbidden),
        (500, ProxyProblem::Failed),
        (502, ProxyProblem::Failed),
        (504, ProxyProblem::Failed),
    ];
    for (status, expected) in cases {
        let (problem, detail) = refused_with(format!("HTTP/1.1 {status} Secret\r\nX: secret\r\n\r\nsecret"));
        assert_eq!(problem, expected, "{status}");
        assert!(
            detail.contains(&status.to_string()) && !detail.to_lowercase().contains("secret"),
            "{detail}"
        );
    }
}

#[test]
fn a_407_says_whether_credentials_were_missing_or_wrong() {
    let answer = "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n\r\n";
    assert_eq!(refused_with(answer).1, "it requires credentials (HTTP status 407)");

    let request = format!("{}\r\nProxy-Authorization: Basic dTpw\r\n\r\n", REQUEST.trim_end());
    let (_, detail) = refused(&proxy("http://u:p@proxy"), &destination(), &[hears(request), says(answer)]);
    assert_eq!(detail, "it refuses these credentials (HTTP status 407)");
}

#[test]
fn what_is_no_answer_is_a_failure_of_the_attempt() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(17 * 1024));
    let closed = "the connection was closed before the answer was complete";
    let not_http = "the answer is not HTTP/1.1: check host and port";
    let cases = [
        ("SSH-2.0-OpenSSH\r\n", not_http),
        ("\x16\x03\x01", not_http),
        ("HTTP/1.1 secret\r\n\r\n", not_http),
        ("HTTP/1.7 200 OK\r\n\r\n", not_http),
        ("HTTP/1.1 200 OK\r\n", closed),
        ("HTT", closed),
        (endless.as_str(), "the head of the answer is longer than 16384 bytes"),
    ];
    for (answer, expected) in cases {
        assert_eq!(refused_with(answer), (ProxyProblem::Failed, expected.to_owned()), "{answer}");
    }
}

#[test]
fn a_proxy_that_closes_at_once_is_a_failure_of_the_attempt() {
    let proxy = proxy("http://proxy");
    assert_eq!(refused(&proxy, &destination(), &[hears(REQUEST)]).0, ProxyProblem::Failed);
    assert_eq!(refused(&proxy, &destination(), &[]).0, ProxyProblem::Failed);
}
