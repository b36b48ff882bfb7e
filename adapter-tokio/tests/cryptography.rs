//! A `wss` URL needs cryptography: without it, the feed is refused when it is built. Run it with and without default features.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

use std::future::pending;
use std::io;

use tidegate_driver::BuildError;
use tidegate_tokio::{feed, feed_over};

const HAS_CRYPTOGRAPHY: bool = cfg!(any(feature = "ring", feature = "aws-lc-rs"));

#[tokio::test]
async fn what_cannot_work_is_refused_and_names_the_feature() {
    for built in [feed("wss://feed.test").inline().map(drop), feed("wss://feed.test").spawn().map(drop)] {
        assert_eq!(built.is_ok(), HAS_CRYPTOGRAPHY);
        if let Err(error) = built {
            assert!(matches!(error, BuildError::Network { .. }), "{error:?}");
            assert!(error.to_string().contains("turn on the feature ring"), "{error}");
        }
    }
}

#[tokio::test]
async fn what_may_work_is_not_refused() {
    feed("ws://feed.test").inline().unwrap();
    // The application may connect, or the resolver return another URL.
    let open = |_| pending::<io::Result<tokio::net::TcpStream>>();
    feed_over("wss://feed.test", open).inline().unwrap();
    feed("wss://feed.test").resolver(|attempt| async { Ok(attempt.request) }).inline().unwrap();
}
