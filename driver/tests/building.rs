//! Putting a feed together, and what is shown of a request.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use common::{Mode, Rig, URL, World, builder, config};
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderName, HeaderValue};
use tidegate_driver::core::{ConfigError, Context, Fault, Frame, FrameHandler, Message, Upgrade};
use tidegate_driver::{BuildError, ConnectRequest, FeedBuilder, RequestError, Scheme, UrlError};

/// Passes messages on, and sends a greeting on each connection.
struct Greeting(&'static str);

impl FrameHandler for Greeting {
    type Session = ();
    type Item = Message;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        upgrade.send(self.0);
        Ok(())
    }

    fn on_message(
        &mut self,
        _: &mut (),
        message: Message,
        cx: &mut Context<'_, Message>,
    ) -> Result<(), Fault> {
        cx.emit(message);
        Ok(())
    }
}

#[test]
fn url_path_and_headers_reach_the_runtime() {
    let world = World::default();
    let builder = builder(&world)
        .path("/v2/stream?symbols=a,b")
        .header("authorization", "Bearer hush")
        .header("x-tag", "one")
        .header("x-tag", "two");
    let _rig = Rig::new(Mode::Task, &world, builder);
    let requests = &world.state().requests;
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(request.uri(), "wss://feed.example:8443/v2/stream?symbols=a,b");
    assert_eq!((request.scheme(), request.host(), request.port()), (Scheme::Wss, "feed.example", 8443));
    assert_eq!(request.headers()["authorization"], "Bearer hush");
    assert_eq!(request.headers().get_all("x-tag").iter().collect::<Vec<_>>(), ["one", "two"]);
}

fn character(found: char, offset: usize) -> UrlError {
    UrlError::Character { found, offset }
}

fn error_of(url: &str) -> BuildError {
    FeedBuilder::new(World::default(), url).spawn().expect_err(url)
}

#[test]
fn a_bad_url_is_named_by_its_fault() {
    let cases = [
        ("http://feed.example", UrlError::Scheme { found: "http".to_owned() }),
        ("feed.example", UrlError::NoScheme),
        ("/v1?token=hush", UrlError::NoScheme),
        ("wss://user:hush@feed.example", UrlError::UserInfo),
        ("wss://feed.example:0/", UrlError::Port),
        ("wss://feed.example:70000/", UrlError::Port),
        ("wss://feed.example:/", UrlError::Port),
        ("wss://[::1]:99999/", UrlError::Port),
        ("wss://:443/?token=hush", UrlError::NoHost),
        ("wss://feed.example:+80/", UrlError::Port),
        ("wss://2001:db8::1/", UrlError::Host),
        ("wss://[feed.example]/", UrlError::Host),
        ("wss://xn--\u{e9}/", UrlError::Host),
        ("wss://hush feed/", character(' ', 10)),
        ("wss://feed.example/v1?token=hush\n", character('\n', 32)),
        ("\u{feff}wss://feed.example/", character('\u{feff}', 0)),
        ("wss://b\u{fc}cher.example/\u{e9}/<hush>", character('<', 25)),
        ("wss://feed.example/hush?a=<b", character('<', 26)),
        ("wss://feed%41.example/", character('%', 10)),
        ("wss://feed.example/\u{202e}hush", character('\u{202e}', 19)),
        ("", UrlError::Empty),
    ];
    for (url, expected) in cases {
        let error = error_of(url);
        assert_eq!(error, BuildError::Url(expected), "{url:?}");
        assert!(!format!("{error} {error:?}").contains("hush"), "T3: {error}");
    }
    assert!(error_of("http://feed.example").to_string().contains("\"http\""), "the scheme is named");
    let words = "the character '\\n' at offset 20 is not allowed in a URL: remove or percent-encode it";
    assert_eq!(error_of("wss://feed.example/x\n").to_string(), words);
}

#[test]
fn good_urls_are_taken_apart() {
    let cases = [
        ("ws://feed.example", Scheme::Ws, "feed.example", 80),
        ("wss://feed.example/v1", Scheme::Wss, "feed.example", 443),
        ("wss://[2001:db8::1]/", Scheme::Wss, "2001:db8::1", 443),
        ("ws://[::1]:9000/", Scheme::Ws, "::1", 9000),
        ("WSS://feed.example:1/", Scheme::Wss, "feed.example", 1),
    ];
    for (url, scheme, host, port) in cases {
        let request: ConnectRequest = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!((request.scheme(), request.host(), request.port()), (scheme, host, port), "{url}");
        assert!(url.to_lowercase().starts_with(&format!("{}://", scheme.as_str())), "{url}");
    }
}

/// RFC 3986 §2.5, UTS 46. What is ASCII, encoded or not, stays byte for byte.
#[test]
fn what_is_not_ascii_is_encoded() {
    let table = [
        (
            "ws://feed.example/ws/币usdt@trade?q=é&r=%c3%A9",
            "ws://feed.example/ws/%E5%B8%81usdt@trade?q=%C3%A9&r=%c3%A9",
        ),
        ("ws://bücher.example:81/x", "ws://xn--bcher-kva.example:81/x"),
        ("ws://Bücher。Example", "ws://xn--bcher-kva.example/"),
        ("ws://Feed_1.Example/{\"a\":[1]}|?x={b}^", "ws://Feed_1.Example/{\"a\":[1]}|?x={b}^"),
        ("ws://feed.example/%7e%2F%zz?%", "ws://feed.example/%7e%2F%zz?%"),
        ("ws://feed.example/a#é<", "ws://feed.example/a"),
    ];
    for (url, expected) in table {
        let request = ConnectRequest::new(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(request.uri().to_string(), expected, "{url}");
        assert!(request.uri().to_string().contains(request.host()), "{}", request.host());
    }
    let request = ConnectRequest::new("ws://feed.example/").unwrap().with_path("/币?é=%41").unwrap();
    assert_eq!(request.uri(), "ws://feed.example/%E5%B8%81?%C3%A9=%41");
}

#[test]
fn a_bad_path_is_refused() {
    let world = World::default();
    let cases = [
        ("", UrlError::Path),
        ("v1", UrlError::Path),
        ("/v 1", character(' ', 2)),
        ("/é\n", character('\n', 3)),
    ];
    for (path, expected) in cases {
        let error = builder(&world).path(path).inline().unwrap_err();
        assert_eq!(error, BuildError::Url(expected), "{path:?}");
    }
}

/// What the handshake sends itself, what has no place in it, and what is no list of tokens (RFC 6455 §4.1).
#[test]
fn a_header_that_has_no_place_in_the_request_is_refused() {
    let world = World::default();
    let reserved = [
        "Host",
        "connection",
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "content-length",
        "transfer-encoding",
    ];
    for name in reserved {
        let error = builder(&world).header(name, "hush").spawn().unwrap_err();
        let expected = RequestError::Reserved { name: name.parse().unwrap() };
        assert_eq!(error, BuildError::Request(expected));
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(&name.to_lowercase()) && !shown.contains("hush"), "{shown}");
    }
    let subprotocols = BuildError::Request(RequestError::Subprotocol);
    for name in ["", "hush hush", "v1,v2", "v1;q=1", "v/1", "\"v1\"", "é"] {
        assert_eq!(builder(&world).subprotocol(name).inline().unwrap_err(), subprotocols, "{name:?}");
    }
    assert_eq!(builder(&world).subprotocol("v1").subprotocol("v1").inline().unwrap_err(), subprotocols);
    let header = SEC_WEBSOCKET_PROTOCOL.as_str();
    assert_eq!(builder(&world).header(header, "v1,, v2").inline().unwrap_err(), subprotocols);
    assert!(builder(&world).header(header, "v1 , v2").subprotocol("v3.json+1").inline().is_ok());
}

#[test]
fn another_host_header_is_a_host_and_a_port() {
    let request = ConnectRequest::new(URL).unwrap();
    assert_eq!(request.host_header(), "feed.example:8443");
    for (host, header) in
        [("b.test", "b.test"), ("bücher.test:81", "xn--bcher-kva.test:81"), ("[::1]:9", "[::1]:9")]
    {
        let request = request.clone().with_host(host).unwrap();
        assert_eq!((request.host_header(), request.host()), (header, "feed.example"));
    }
    let world = World::default();
    for host in ["", "b.test/x", "b.test\r\nX: y", "b.test:x", "me@b.test"] {
        assert_eq!(builder(&world).host(host).inline().unwrap_err(), BuildError::Host, "{host:?}");
    }
}

/// T3: a valid name is said, and nothing else.
#[test]
fn a_bad_header_is_named_without_its_value() {
    let world = World::default();
    let value_of = |name| BuildError::HeaderValue { name };
    for (name, value, expected) in [
        ("authorization: hush", "", BuildError::HeaderName),
        ("", "hush", BuildError::HeaderName),
        ("authorization", "hush\nhush", value_of(AUTHORIZATION)),
    ] {
        let error = builder(&world).header(name, value).spawn().unwrap_err();
        assert_eq!(error, expected);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hush"), "{shown}");
    }
}

#[test]
fn a_bad_option_is_named() {
    let world = World::default();
    let error = builder(&world).config(config().buffer(0)).spawn().unwrap_err();
    assert_eq!(error, BuildError::Config(ConfigError::Zero { option: "buffer" }));
    assert!(error.to_string().starts_with("buffer is 0"), "{error}");
}

/// Every order of the calls that fill the same connection.
#[test]
fn the_order_of_calls_does_not_matter() {
    type Step = fn(FeedBuilder<World, Greeting>) -> FeedBuilder<World, Greeting>;
    let steps: [Step; 4] = [
        |builder| builder.handler(Greeting("hello")),
        |builder| builder.on_upgrade(|_| Ok(["subscribe"])),
        |builder| builder.config(config().build().unwrap()),
        |builder| builder.path("/v2").header("x-tag", "one"),
    ];
    for order in 0..24 {
        let (mut steps, mut order) = (steps.to_vec(), order);
        let world = World::default();
        let mut builder = FeedBuilder::new(world.clone(), URL).handler(Greeting("nothing"));
        for left in (1..=steps.len()).rev() {
            builder = steps.remove(order % left)(builder);
            order /= left;
        }
        let rig = Rig::new(Mode::Task, &world, builder);
        assert_eq!(rig.peer().received(), ["subscribe", "hello"].map(Frame::from));
        assert_eq!(world.state().requests[0].uri(), "wss://feed.example:8443/v2");
    }
}

/// B1: and those of the handler are last.
#[test]
fn frames_of_several_calls_are_sent_in_order() {
    let rig = Rig::with(Mode::Stream, |builder| {
        builder.on_upgrade(|_| Ok(["a", "b"])).handler(Greeting("d")).on_upgrade(|id| Ok([format!("c {id}")]))
    });
    assert_eq!(rig.peer().received(), ["a", "b", "c 1", "d"].map(Frame::from));
}

/// The first mistake counts, and nothing has been started.
#[test]
fn nothing_runs_that_cannot_be_built() {
    let world = World::default();
    let error = FeedBuilder::new(world.clone(), "ftp://feed.example").path("no").spawn().unwrap_err();
    assert_eq!(error, BuildError::Url(UrlError::Scheme { found: "ftp".to_owned() }));
    assert_eq!((world.has_tasks(), world.state().clock_readings), (false, 0));
}

/// T3.
#[test]
fn what_is_shown_of_a_request_holds_no_secret() {
    let request = ConnectRequest::new(URL)
        .unwrap()
        .with_header(HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer hush"));
    assert_eq!(request.redacted(), "wss://feed.example:8443/v1");
    let shown = format!("{request:?}");
    assert_eq!(shown, r#"ConnectRequest { url: "wss://feed.example:8443/v1", headers: ["authorization"] }"#);
}

#[test]
fn feeds_can_be_shown_and_moved_between_threads() {
    fn moves<T: Send>(value: T) -> T {
        value
    }
    let world = World::default();
    let spawned = moves(builder(&world).spawn().unwrap());
    let inline = moves(builder(&world).inline().unwrap());
    assert!(format!("{spawned:?}").starts_with("Feed"));
    assert!(format!("{:?}", inline.items()).starts_with("Items"));
}
