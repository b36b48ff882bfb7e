//! The loop that carries out what [`tidegate_core`] decides, for every runtime.
//!
//! Use it through an adapter such as `tidegate-tokio`. For a runtime of your own, implement [`Runtime`] and start with
//! [`FeedBuilder::new`]. For a runtime with sockets, implement less: the feature `net` has the rest.
//!
//! | to change | open |
//! |---|---|
//! | what a runtime must offer | `runtime.rs` |
//! | URLs and headers, and what may be shown of them | `request.rs`, `url.rs` |
//! | how secrets of ours are hidden in text of a peer | `secrets.rs` |
//! | how a resolver gives URL and headers for an attempt | `resolve.rs` |
//! | the order of work in one poll, and its bounds | `engine.rs`, `engine/poll.rs` |
//! | deadlines and the timer | `engine/due.rs` |
//! | dialing, reading, writing and flushing | `link.rs` |
//! | the hand-over between task and consumer | `handover.rs` |
//! | the API of consumers, inline feeds | `consumer.rs` |
//! | the API of handles | `handle.rs` |
//! | what handles and the loop share | `control.rs`, `mailbox.rs` |
//! | types that threads share, and loom's in their place | `sync.rs` |
//! | logs and metrics | `observe.rs`, `observe/measure.rs`; their names in `telemetry.rs` |
//! | options of the builder | `builder.rs` |
//! | what adapters share: addresses, proxies, TLS, upgrade, framing | `net.rs` (feature `net`) |
#![forbid(unsafe_code)]

mod builder;
mod consumer;
mod control;
mod engine;
mod handle;
mod handover;
mod link;
mod mailbox;
#[cfg(feature = "net")]
pub mod net;
mod observe;
mod request;
mod resolve;
mod runtime;
mod secrets;
mod sync;
pub mod telemetry;
mod url;

pub use builder::{BuildError, FeedBuilder};
pub use consumer::{Feed, Inline, Items, MessageFeed, Source, Spawned, SpawnedFeed};
pub use handle::FeedHandle;
pub use request::{ConnectRequest, RequestError};
pub use resolve::{Attempt, ResolveError};
pub use runtime::{Alarm, Runtime, Spawn, Transport};
pub use tidegate_core as core;
pub use url::{Scheme, UrlError};
