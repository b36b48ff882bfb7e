//! Resilient WebSocket feeds: one URL in, one endless, demand-aware stream of items out, across every drop, stall,
//! refused handshake and half-open socket in between.
//!
//! A pure state machine, [`machine`], makes all decisions, and one loop, [`driver`], carries them out. Each runtime has
//! a thin adapter with the sockets, in [`rt`].
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use tidegate::prelude::*;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut feed = tidegate::rt::tokio::feed("wss://exchange.example/ws")
//!     .on_upgrade(|_| Ok([r#"{"op":"subscribe","channel":"trades"}"#]))
//!     .spawn()?;
//! while let Some(delivery) = feed.recv().await {
//!     match delivery? {
//!         Delivery::Item(message) => println!("{}", message.as_text().unwrap_or("(binary)")),
//!         Delivery::Opened { id } => println!("connection {id}: start over"),
//!         Delivery::Live { id } => println!("connection {id} is live"),
//!         Delivery::Interrupted { .. } | Delivery::Dropped { .. } => println!("something is missing here"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! - `tokio` (default), `smol`: the adapters.
//! - `async-std`: the adapter for async-std, which is discontinued upstream. It is for applications that still use it.
//! - `ring` (default), `aws-lc-rs`: the cryptography of TLS. With both, `ring` is used.
//! - `metrics`: counters, gauges and histograms through the `metrics` facade: see [`telemetry`].
//! - `tungstenite`: feeds over WebSockets that the application opens with tungstenite. See
//!   `FeedBuilder::over_tungstenite`. tungstenite 0.30 is then part of the public API, as `driver::net::tungstenite`.
#![forbid(unsafe_code)]

pub use tidegate_core as machine;
pub use tidegate_core::escape;
pub use tidegate_driver as driver;
pub use tidegate_driver::telemetry;

/// The adapters, one per runtime, each by a feature of its name. All have the same names.
pub mod rt {
    #[cfg(feature = "async-std")]
    #[doc(inline)]
    pub use tidegate_async_std::async_std;
    #[cfg(feature = "smol")]
    #[doc(inline)]
    pub use tidegate_async_std::smol;
    #[cfg(feature = "tokio")]
    #[doc(inline)]
    pub use tidegate_tokio as tokio;
}

/// The names that nearly every program uses.
///
/// ```
/// use tidegate::prelude::*;
/// ```
pub mod prelude {
    pub use crate::{
        Config, Context, Delivery, Fault, Feed, FeedHandle, FrameHandler, Message, MessageFeed, PassThrough,
        RetryPolicy, SpawnedFeed, StopReason, TimerKey, Upgrade,
    };
}

/// The versions of these crates that the API uses: [`http`] in headers, [`bytes`] in messages.
pub use {bytes, http};

pub use tidegate_core::{
    Backoff, BootstrapFailure, Class, Classification, CloseFrame, CloseFrameError, CommandError,
    CommandHandler, Config, ConfigBuilder, ConfigError, ConnectFailure, Connected, ConnectionFailure,
    ConnectionId, Context, Continuity, Delivery, Discontinuity, Emitter, Exception, Failure, Fault, Frame,
    FrameHandler, FromFn, Harness, Headers, InnerTimer, Jitter, LocalFailure, Map, Message, Notice, Overflow,
    PassThrough, Phase, ProxyProblem, Refusal, RetryPolicy, RetryState, SendError, Severity, Stats, Step,
    StopReason, TimerKey, Timestamp, TlsProblem, Upgrade, WithBootstrap, from_fn,
};
#[cfg(feature = "tungstenite")]
pub use tidegate_driver::net::TungsteniteTransport;
#[cfg(any(feature = "tokio", feature = "smol", feature = "async-std"))]
pub use tidegate_driver::net::{
    Connector, LimitError, Limits, Over, Proxy, ProxyError, TlsError, TlsOptions, WebSocket, rustls,
};
pub use tidegate_driver::{
    Attempt, BuildError, ConnectRequest, Feed, FeedBuilder, FeedHandle, Inline, Items, MessageFeed,
    RequestError, ResolveError, Scheme, Source, Spawned, SpawnedFeed, UrlError,
};
