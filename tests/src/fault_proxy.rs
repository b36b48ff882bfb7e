//! A TCP proxy that does to connections what networks do: slow, sliced, stalled, half open, cut off, reset, refused.
//!
//! It has threads of its own and shares no runtime with what is under test. What it can do is called as in Toxiproxy.
//!
//! ```no_run
//! use std::time::Duration;
//! use tidegate_tests::fault_proxy::{Direction, FaultProxy, Toxic};
//!
//! let server = "127.0.0.1:8000".parse().unwrap();
//! let proxy = FaultProxy::start(server);
//! let url = proxy.url("/feed");
//! proxy.set(Direction::Downstream, Toxic::Bandwidth { bytes_per_second: 10_000 });
//! proxy.half_open();
//! proxy.clear();
//! ```
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod connection;
mod door;
mod shared;
#[cfg(test)]
mod tests;
mod toxic;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use door::Door;
pub use shared::End;
use shared::Shared;
pub use toxic::{Direction, Toxic};

/// Forwards between its own address and a server, until it is dropped.
///
/// All methods take effect on open connections, too.
#[derive(Debug)]
pub struct FaultProxy {
    shared: Arc<Shared>,
    door: Door,
}

impl FaultProxy {
    /// Listens on loopback. Whether there is a server at `upstream` shows at the first connection: it is reset if not.
    #[must_use]
    pub fn start(upstream: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let door = Door::open(Arc::clone(&shared), upstream);
        let keeper = Arc::clone(&shared);
        let thread = shared.thread();
        thread::spawn(move || {
            keeper.keep_time();
            drop(thread);
        });
        Self { shared, door }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.door.address()
    }

    /// The `ws` URL of `path`, which starts with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.addr())
    }

    /// Adds a toxic, or replaces the one of its kind in that direction.
    pub fn set(&self, direction: Direction, toxic: Toxic) {
        self.shared.change(|state| state.toxics[direction as usize].set(toxic));
    }

    /// Nothing gets through any more in either direction, neither data nor an end, and no connection is closed.
    pub fn half_open(&self) {
        self.set(Direction::Upstream, Toxic::Timeout);
        self.set(Direction::Downstream, Toxic::Timeout);
    }

    /// Refuses new connections. Those that are open are left alone.
    pub fn refuse(&self) {
        self.door.shut();
    }

    /// Takes all toxics away, and accepts connections again.
    pub fn clear(&self) {
        self.shared.change(|state| state.toxics = Default::default());
        self.door.reopen();
    }

    /// Ends all current connections, on both sides. One that the server has just accepted may not be among them yet.
    pub fn cut(&self, end: End) {
        self.shared.cut(end);
    }
}

/// Resets what is open, and waits for the threads.
impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.door.shut();
        self.shared.finish();
    }
}
