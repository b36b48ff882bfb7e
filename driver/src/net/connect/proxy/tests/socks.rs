use super::*;

const NO_AUTH: &[u8] = &[5, 1, 0];
const NO_AUTH_OR_PASSWORD: &[u8] = &[5, 2, 0, 2];
/// For `feed.example`, port 443.
const REQUEST: &[u8] = b"\x05\x01\x00\x03\x0cfeed.example\x01\xbb";
const GRANTED: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

fn destination() -> Destination {
    name("feed.example", 443)
}

fn plain() -> Proxy {
    proxy("socks5h://proxy")
}

fn with_password() -> Proxy {
    proxy("socks5h://us%20er:pass@proxy")
}

/// The proxy lets everybody in and answers the request like this.
fn refused_with(reply: &[u8]) -> (ProxyProblem, String) {
    refused(&plain(), &destination(), &[hears(NO_AUTH), says([5, 0]), hears(REQUEST), says(reply)])
}

#[test]
fn a_tunnel_is_asked_for_by_name() {
    let steps = [hears(NO_AUTH), says([5, 0]), hears(REQUEST), says(GRANTED)];
    assert_eq!(through(&plain(), &destination(), &steps), b"welcome.bye");
}

#[test]
fn addresses_go_as_such_even_if_they_came_as_names() {
    let v4: &[u8] = &[5, 1, 0, 1, 10, 0, 0, 1, 1, 187];
    let v6 = [&[5, 1, 0, 4, 0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[1, 1, 187]].concat();
    let cases = [
        (name("10.0.0.1", 443), v4),
        (address("10.0.0.1:443"), v4),
        (name("2001:db8::1", 443), v6.as_slice()),
        (address("[2001:db8::1]:443"), v6.as_slice()),
    ];
    for (destination, request) in cases {
        let steps = [hears(NO_AUTH), says([5, 0]), hears(request), says(GRANTED)];
        through(&plain(), &destination, &steps);
    }
}

#[test]
fn the_proxys_own_address_may_be_of_any_kind() {
    let v6 = [&[5, 0, 0, 4][..], &[0; 18]].concat();
    let long_name = [&[5, 0, 0, 3, 255][..], &[b'x'; 255], &[0, 0]].concat();
    for granted in
        [GRANTED, &v6, b"\x05\x00\x00\x03\x04here\x00\x00", b"\x05\x00\x00\x03\x00\x00\x00", &long_name]
    {
        // The destination speaks first, in the same breath.
        let reply = [granted, b"220 ready "].concat();
        let steps = [hears(NO_AUTH), says([5, 0]), hears(REQUEST), says(reply)];
        assert_eq!(through(&plain(), &destination(), &steps), b"220 ready welcome.bye");
    }
}

#[test]
fn credentials_go_along_when_they_are_asked_for() {
    let steps = [
        hears(NO_AUTH_OR_PASSWORD),
        says([5, 2]),
        hears(b"\x01\x05us er\x04pass"),
        says([1, 0]),
        hears(REQUEST),
        says(GRANTED),
    ];
    through(&with_password(), &destination(), &steps);

    let not_asked_for = [hears(NO_AUTH_OR_PASSWORD), says([5, 0]), hears(REQUEST), says(GRANTED)];
    through(&with_password(), &destination(), &not_asked_for);
}

#[test]
fn credentials_of_255_bytes_fit() {
    let long = "x".repeat(255);
    let proxy = plain().with_credentials(&long, &long).unwrap();
    let sent = [b"\x01\xff", long.as_bytes(), b"\xff", long.as_bytes()].concat();
    let steps =
        [hears(NO_AUTH_OR_PASSWORD), says([5, 2]), hears(sent), says([1, 0]), hears(REQUEST), says(GRANTED)];
    through(&proxy, &destination(), &steps);
}

#[test]
fn a_name_has_at_most_255_bytes() {
    let longest = "x".repeat(255);
    let request = [b"\x05\x01\x00\x03\xff", longest.as_bytes(), b"\x01\xbb"].concat();
    let steps = [hears(NO_AUTH), says([5, 0]), hears(request), says(GRANTED)];
    through(&plain(), &name(&longest, 443), &steps);

    let (problem, detail) = refused(&plain(), &name(&(longest + "x"), 443), &[]);
    assert_eq!(problem, ProxyProblem::Failed);
    assert!(detail.contains("longer than the 255 bytes"), "{detail}");
}

#[test]
fn refused_and_missing_credentials_are_told_apart() {
    let asked = [hears(NO_AUTH_OR_PASSWORD), says([5, 2]), hears(b"\x01\x05us er\x04pass"), says([1, 7])];
    let wrong = refused(&with_password(), &destination(), &asked);
    assert_eq!(wrong, (ProxyProblem::Credentials, "it refuses these credentials".to_owned()));

    for method in [0xff, 2] {
        let missing = refused(&plain(), &destination(), &[hears(NO_AUTH), says([5, method])]);
        assert_eq!(missing, (ProxyProblem::Credentials, "it requires credentials".to_owned()));
    }

    let other = refused(&with_password(), &destination(), &[hears(NO_AUTH_OR_PASSWORD), says([5, 0xff])]);
    assert_eq!(other.0, ProxyProblem::Credentials);
}

#[test]
fn refusals_are_told_apart_by_reply() {
    let meanings = [
        (1, "general SOCKS server failure"),
        (3, "network unreachable"),
        (4, "host unreachable"),
        (5, "connection refused"),
        (6, "TTL expired"),
        (7, "command not supported"),
        (8, "address type not supported"),
        (9, "it could not connect"),
        (255, "it could not connect"),
    ];
    for (reply, meaning) in meanings {
        let (problem, detail) = refused_with(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(problem, ProxyProblem::Failed);
        assert_eq!(detail, format!("{meaning} (SOCKS5 reply {reply})"));
    }
    let forbidden = "connection not allowed by its ruleset (SOCKS5 reply 2)";
    // Some proxies leave out the address after a refusal.
    for reply in [&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0][..], &[5, 2, 0, 1]] {
        assert_eq!(refused_with(reply), (ProxyProblem::Forbidden, forbidden.to_owned()));
    }
}

#[test]
fn what_is_no_answer_is_a_failure_of_the_attempt() {
    let not_socks = (ProxyProblem::Failed, "its answer is not SOCKS5".to_owned());
    for greeting in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[4, 0], &[5, 1], &[5, 9]] {
        let steps = [hears(NO_AUTH), says(greeting)];
        assert_eq!(refused(&plain(), &destination(), &steps), not_socks, "{greeting:?}");
    }
    for reply in [[4, 0, 0, 1], [5, 0, 1, 1], [5, 0, 0, 2]] {
        assert_eq!(refused_with(&reply), not_socks, "{reply:?}");
    }
}

#[test]
fn what_does_not_matter_is_not_looked_at() {
    // The version of the exchange of credentials, and the name of the proxy's own end.
    let steps = [
        hears(NO_AUTH_OR_PASSWORD),
        says([5, 2]),
        hears(b"\x01\x05us er\x04pass"),
        says([5, 0]),
        hears(REQUEST),
        says([5, 0, 0, 3, 2, 0xff, 0xff, 0, 0]),
    ];
    through(&with_password(), &destination(), &steps);
}

#[test]
fn a_proxy_that_closes_midway_is_a_failure_of_the_attempt() {
    let closed =
        (ProxyProblem::Failed, "the connection was closed before the answer was complete".to_owned());
    let whole = [&[5, 0][..], GRANTED].concat();
    assert_eq!(refused(&plain(), &destination(), &[hears(NO_AUTH)]), closed);
    assert_eq!(refused(&plain(), &destination(), &[hears(NO_AUTH), says([5])]), closed);
    for len in 2..whole.len() {
        let mut steps = vec![hears(NO_AUTH), says([5, 0]), hears(REQUEST)];
        if len > 2 {
            steps.push(says(&whole[2..len]));
        }
        assert_eq!(refused(&plain(), &destination(), &steps), closed, "after {len} bytes");
    }
    assert_eq!(refused(&plain(), &destination(), &[]).0, ProxyProblem::Failed);
}
