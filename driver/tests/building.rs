//! Putting a feed together, and what is shown of a request.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::error::Error;

use common::{InStream, InTask, Mode, Rig, URL, World, builder, config, in_both_modes};
use http::{HeaderName, HeaderValue};
use tidegate_driver::core::ConfigError;
use tidegate_driver::{BuildError, ConnectRequest, FeedBuilder, Scheme, UrlError};

in_both_modes!(url_path_and_headers_reach_the_runtime);

fn url_path_and_headers_reach_the_runtime<M: Mode>() {
    let world = World::default();
    let builder = builder(&world)
        .path("/v2/stream?symbols=a,b")
        .header("authorization", "Bearer hush")
        .header("x-tag", "one")
        .header("x-tag", "two");
    let _rig = Rig::new::<M, _>(&world, builder);
    let requests = world.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(request.uri(), "wss://feed.example:8443/v2/stream?symbols=a,b");
    assert_eq!((request.scheme(), request.host(), request.port()), (Scheme::Wss, "feed.example", 8443));
    assert_eq!(request.headers()["authorization"], "Bearer hush");
    assert_eq!(request.headers().get_all("x-tag").iter().collect::<Vec<_>>(), ["one", "two"]);
}

fn error_of(url: &str) -> BuildError {
    FeedBuilder::new(World::default(), url).spawn().unwrap_err()
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
        ("wss://hush feed/", UrlError::Syntax),
        ("", UrlError::Syntax),
    ];
    for (url, expected) in cases {
        let error = error_of(url);
        assert_eq!(error, BuildError::Url(expected), "{url:?}");
        assert!(!format!("{error} {error:?}").contains("hush"), "T3: {error}");
        assert_eq!(error.source().map(ToString::to_string), Some(error.to_string()), "the URL's own error");
    }
    assert!(error_of("http://feed.example").to_string().contains("\"http\""), "the scheme is named");
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

#[test]
fn a_bad_path_is_refused() {
    let world = World::default();
    for path in ["", "v1", "/v 1"] {
        let error = builder(&world).path(path).inline().unwrap_err();
        assert_eq!(error, BuildError::Url(UrlError::Path), "{path:?}");
        assert!(error.to_string().contains("starts with /"), "{error}");
    }
}

/// T3: the name is said, the value is not.
#[test]
fn a_bad_header_is_named_without_its_value() {
    let world = World::default();
    for (name, value) in [("x tag", "hush"), ("authorization", "hush\nhush"), ("", "hush")] {
        let error = builder(&world).header(name, value).spawn().unwrap_err();
        assert_eq!(error, BuildError::Header { name: name.to_owned() });
        assert!(error.source().is_none(), "what is below may repeat the value");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(&format!("{name:?}")) && !shown.contains("hush"), "{shown}");
    }
}

#[test]
fn a_bad_option_is_named() {
    let world = World::default();
    let error = builder(&world).config(config().buffer(0)).spawn().unwrap_err();
    assert_eq!(error, BuildError::Config(ConfigError::Zero { option: "buffer" }));
    assert!(error.to_string().starts_with("buffer is 0"), "{error}");
    assert!(error.source().is_some());
}

/// The first mistake counts, and nothing has been started.
#[test]
fn nothing_runs_that_cannot_be_built() {
    let world = World::default();
    let error = FeedBuilder::new(world.clone(), "ftp://feed.example").path("no").spawn().unwrap_err();
    assert_eq!(error, BuildError::Url(UrlError::Scheme { found: "ftp".to_owned() }));
    assert_eq!((world.live_tasks(), world.clock_readings()), (0, 0));
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
