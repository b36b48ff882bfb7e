//! An exchange-like feed server for `demo` and `serve`, with faults on a seeded schedule.
//!
//! It shares nothing with the client under test: what it says about a run is a second opinion.
//!
//! | to change | open |
//! |---|---|
//! | what is said on the wire, and how fast trades are made | `feed.rs` |
//! | what goes wrong, and when | `faults.rs` |
//! | who is let in | `upgrade.rs` |
//! | one connection, from its first frame to its end | `session.rs` |
//! | what all connections share | `hub.rs` |
//! | the account of a run | `ledger.rs` |

mod faults;
mod feed;
mod hub;
mod ledger;
mod session;
#[cfg(test)]
mod tests;
mod upgrade;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anstyle::Style;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::status::BAD;
pub(crate) use faults::{Fault, Schedule};
use hub::Hub;
pub(crate) use ledger::{Injected, Ledger, SessionRecord};

/// The path at which the feed lives.
pub(crate) const PATH: &str = "/feed";

/// What a client sends to get trades.
pub(crate) const SUBSCRIBE: &str = r#"{"op":"subscribe","channel":"trades"}"#;

/// What a client sends to get no more.
pub(crate) const UNSUBSCRIBE: &str = r#"{"op":"unsubscribe","channel":"trades"}"#;

/// How long sessions have to say goodbye once the server is told to stop.
const FAREWELL: Duration = Duration::from_millis(1500);

/// What the server is to do.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Decides symbols, prices and sizes: the same seed makes the same trades.
    pub(crate) seed: u64,
    /// Trades per second, floods apart.
    pub(crate) rate: u32,
    /// What goes wrong and when; `None` is a server that behaves.
    pub(crate) faults: Option<Schedule>,
    /// Between two heartbeats.
    pub(crate) heartbeat: Duration,
    /// How long a connection may stay without a subscription.
    pub(crate) patience: Duration,
    /// How long a silenced connection is kept open: longer than any idle timeout it is meant to trip.
    pub(crate) silence: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            rate: 200,
            faults: None,
            heartbeat: Duration::from_secs(1),
            patience: Duration::from_secs(5),
            silence: Duration::from_secs(60),
        }
    }
}

/// What the server reports while it runs.
#[derive(Clone, Debug)]
pub(crate) enum ServerEvent {
    /// The port is open.
    Listening {
        /// Where.
        addr: SocketAddr,
    },
    /// A client was let in.
    SessionOpened {
        /// Numbered from 1, refused upgrades not counted.
        id: u64,
        /// The client's address.
        peer: SocketAddr,
    },
    /// A client subscribed and was told so.
    Subscribed {
        /// The session.
        id: u64,
        /// The first trade it will get.
        first_seq: u64,
    },
    /// A fault of the schedule has been done.
    FaultInjected {
        /// What.
        fault: Fault,
        /// How many subscribed sessions it struck.
        sessions: usize,
    },
    /// A session is over.
    SessionClosed(SessionRecord),
    /// An upgrade was answered with something else.
    Refused {
        /// The HTTP status.
        status: u16,
    },
}

impl ServerEvent {
    /// A fault stands out among the other events.
    pub(crate) const fn style(&self) -> Style {
        match self {
            Self::FaultInjected { .. } => BAD,
            Self::Listening { .. }
            | Self::SessionOpened { .. }
            | Self::Subscribed { .. }
            | Self::SessionClosed(_)
            | Self::Refused { .. } => Style::new(),
        }
    }
}

impl fmt::Display for ServerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening { addr } => write!(f, "listening on {addr}"),
            Self::SessionOpened { id, peer } => write!(f, "session {id} opened from {peer}"),
            Self::Subscribed { id, first_seq } => {
                write!(f, "session {id} subscribed, from trade {first_seq}")
            }
            Self::FaultInjected { fault, sessions, .. } => write!(f, "FAULT {fault}, on {sessions} sessions"),
            Self::SessionClosed(record) => {
                let SessionRecord { id, peer, end, .. } = record;
                write!(f, "session {id} from {peer} closed after {} trades: {end}", record.trades())
            }
            Self::Refused { status } => write!(f, "upgrade refused with {status}"),
        }
    }
}

/// The server, bound to its port.
pub(crate) struct FeedServer {
    listener: TcpListener,
    addr: SocketAddr,
    hub: Arc<Hub>,
    faults: Option<Schedule>,
}

impl FeedServer {
    /// Opens the port; clients are let in once [`run`](Self::run) is polled. The receiver may be dropped.
    pub(crate) async fn bind(
        addr: SocketAddr,
        mut options: Options,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<ServerEvent>)> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let (events, receiver) = mpsc::unbounded_channel();
        let faults = options.faults.take();
        Ok((Self { listener, addr, hub: Arc::new(Hub::new(options, events)), faults }, receiver))
    }

    /// The address in use, with the port the system picked if none was asked for.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `shutdown` is over, says goodbye to every session, and gives the account of the run.
    pub(crate) async fn run(self, shutdown: impl Future<Output = ()>) -> Ledger {
        let Self { listener, addr, hub, faults } = self;
        let mut sessions = JoinSet::new();
        hub.tell(ServerEvent::Listening { addr });
        tokio::select! {
            () = shutdown => {}
            () = accept(&listener, &hub, &mut sessions) => {}
            () = hub.market.trade() => {}
            () = faults::inject(&hub, faults) => {}
        }
        drop(listener);
        hub.stop();
        let all_gone = async { while sessions.join_next().await.is_some() {} };
        // What is left is dropped below; a session enters the ledger however it ends.
        let _ = tokio::time::timeout(FAREWELL, all_gone).await;
        sessions.shutdown().await;
        hub.ledger()
    }
}

/// Lets clients in for ever.
async fn accept(listener: &TcpListener, hub: &Arc<Hub>, sessions: &mut JoinSet<()>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                sessions.spawn(session::run(Arc::clone(hub), stream, peer));
            }
            // Out of descriptors, say: it would fail again at once.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        while sessions.try_join_next().is_some() {}
    }
}
