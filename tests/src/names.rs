//! The facade's names beside those of the runtimes.

use tidegate::prelude::*;
#[allow(unused_imports, reason = "what it brings must not be in the way")]
use tidegate::*;

/// A glob import hides no crate: not `tokio` from its macros, nor `core`, `http` or `smol`.
#[tokio::test]
async fn a_glob_import_hides_no_crate() {
    let feed = rt::tokio::feed("ws://feed.example/").config(Config::builder()).handler(PassThrough).spawn();
    let handle: FeedHandle = feed.unwrap().handle();
    tokio::time::timeout(
        core::time::Duration::from_secs(10),
        handle.wait_for(|phase| phase == Phase::Stopped),
    )
    .await
    .unwrap();
    let _: http::HeaderName = ::http::header::ORIGIN;
    let _: bytes::Bytes = Message::from("text").into_payload();
    smol::future::ready(()).await;
}
