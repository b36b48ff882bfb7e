//! The common part of the adapters: everything from a URL to frames, over any sockets.
//!
//! An adapter implements [`Net`]: sockets, a clock, timers, threads that may block. This module has everything else:
//! connecting to the addresses of a host, proxies, TLS through rustls, the HTTP upgrade with its redirects, and
//! WebSocket framing. Unfragmented messages and control frames are read here; tungstenite reads all other frames, and
//! writes.
//!
//! | to change | open |
//! |---|---|
//! | the interface of an adapter; the standard library's sockets as streams | `net/platform.rs` |
//! | the runtime over that interface, and the builder's options for it | `net/runtime.rs` |
//! | options of connections | `net/connect/connector.rs`, `net/limits.rs`, `net/tls/options.rs` |
//! | the order of steps in an attempt, and redirects | `net/connect/dial.rs`, `net/connect/redirect.rs` |
//! | the addresses of a host, and the race between them | `net/connect/hosts.rs`, `net/connect/eyeballs.rs` |
//! | options of TCP | `net/connect/tcp.rs` |
//! | proxies, and those of the environment | `net/connect/proxy.rs`, `net/connect/proxy/` |
//! | the configuration of TLS, and why TLS failed | `net/tls/config.rs`, `net/tls/failure.rs`, `net/tls/failure/certificate.rs` |
//! | the HTTP upgrade, and the text of a refusal | `net/http/handshake.rs`; the rest of `net/http/` |
//! | connections that the application opens | `net/over.rs`, `net/over/tungstenite.rs` |
//! | frames | `net/transport.rs`, `net/message.rs`; how they are read: `net/buffer.rs`, `net/header.rs`, `net/blocking.rs`, `net/memory.rs`, `net/shared.rs` |
//! | bytes below the frames | `net/socket.rs` |
//! | how errors of an open connection are reported | `net/failure.rs` |
//! | what the fuzz targets reach | `net/fuzzing.rs` |

mod blocking;
mod buffer;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod header;
mod limits;
mod memory;
mod message;
mod over;
mod platform;
mod runtime;
mod shared;
mod socket;
mod transport;

mod connect {
    pub(super) mod connector;
    pub(super) mod dial;
    mod eyeballs;
    mod hosts;
    pub(super) mod proxy;
    pub(super) mod redirect;
    mod tcp;
}

mod http {
    pub(super) mod answer;
    pub(super) mod body;
    pub(super) mod handshake;
    pub(super) mod head;
    mod retry_after;
}

mod tls {
    pub(super) mod config;
    pub(super) mod failure;
    pub(super) mod options;
}

pub use connect::connector::Connector;
pub use connect::dial::connect_once;
pub use connect::proxy::{Proxy, ProxyError};
pub use futures_rustls::rustls;
pub use limits::{LimitError, Limits};
pub use over::Over;
#[cfg(feature = "tungstenite")]
pub use over::tungstenite::TungsteniteTransport;
pub use platform::{Interest, Net, Reactor, SpawnNet, StdStream};
pub use runtime::{Networked, SocketAlarm, SocketRuntime};
pub use tls::options::{TlsError, TlsOptions};
pub use transport::WebSocket;
#[cfg(feature = "tungstenite")]
pub use tungstenite;

/// Names that every adapter re-exports, so that one adapter can replace another.
pub mod names {
    pub use super::{Connector, LimitError, Limits, Over, Proxy, ProxyError, TlsError, TlsOptions, rustls};
    #[doc(no_inline)]
    pub use crate::core;
    pub use crate::{ConnectRequest, RequestError, Scheme, UrlError};
}
