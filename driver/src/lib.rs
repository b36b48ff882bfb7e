//! The one loop that carries out what [`tidegate_core`] decides, for every runtime.
//!
//! Use it through an adapter such as `tidegate-tokio`, or implement [`Runtime`] for a runtime of your own and begin
//! with [`FeedBuilder::new`]. A runtime that has sockets needs less: the feature `net` has the rest.
//!
//! | to change | open |
//! |---|---|
//! | what a runtime must offer | `runtime.rs` |
//! | URLs and headers, what may be shown of them | `request.rs`, `url.rs` |
//! | which words of a peer are secrets of ours | `secrets.rs` |
//! | what is looked up before each attempt | `resolve.rs` |
//! | the order of work in one poll, and how much of it | `engine.rs`, `engine/` |
//! | dialing, writing, flushing, reading | `link.rs` |
//! | the hand-over between task and consumer | `handover.rs` |
//! | what consumers call | `consumer.rs` |
//! | what handles call | `control.rs` |
//! | what threads share, and loom's types in its place | `sync.rs` |
//! | logs and metrics | `observe.rs` |
//! | options of the builder | `builder.rs` |
//! | what adapters share: addresses, proxies, TLS, upgrade, framing | `net.rs` (feature `net`) |
#![forbid(unsafe_code)]

mod builder;
mod consumer;
mod control;
mod engine;
mod guard;
mod handover;
mod link;
#[cfg(feature = "net")]
pub mod net;
mod observe;
mod request;
mod resolve;
mod runtime;
mod secrets;
mod sync;
mod url;

pub use builder::{BuildError, FeedBuilder};
pub use consumer::{Feed, Inline, Items, Source, Spawned};
pub use control::FeedHandle;
pub use request::{ConnectRequest, RequestError};
pub use resolve::Attempt;
pub use runtime::{Alarm, Runtime, Spawn, Transport};
pub use tidegate_core as core;
pub use url::{Scheme, UrlError};
