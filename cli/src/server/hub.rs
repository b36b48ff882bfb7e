//! What all connections share: the market, the faults that strike them, and the account of the run.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{broadcast, mpsc, watch};

use super::feed::Market;
use super::ledger::{End, Injected, Ledger, SessionRecord};
use super::{Fault, Options, ServerEvent};

/// What happens to every open connection at once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blow {
    /// RST, in the middle of a frame if asked and possible.
    Reset { mid_frame: bool },
    /// Not a byte more, and none read.
    Silence,
    /// The socket is closed without Close.
    Drop,
    /// Close 1012.
    Restart,
    /// Close 1001: the server stops.
    Stop,
}

pub(super) struct Hub {
    pub(super) options: Options,
    pub(super) market: Market,
    blows: broadcast::Sender<Blow>,
    /// How many sessions are subscribed and not silenced: those a fault would strike.
    subscribers: watch::Sender<usize>,
    /// How many of the next upgrades are refused.
    refusals: AtomicU32,
    last_id: AtomicU64,
    events: mpsc::UnboundedSender<ServerEvent>,
    ledger: Mutex<Ledger>,
}

impl Hub {
    pub(super) fn new(options: Options, events: mpsc::UnboundedSender<ServerEvent>) -> Self {
        Self {
            market: Market::new(options.seed, options.rate),
            options,
            blows: broadcast::Sender::new(16),
            subscribers: watch::Sender::new(0),
            refusals: AtomicU32::new(0),
            last_id: AtomicU64::new(0),
            events,
            ledger: Mutex::default(),
        }
    }

    /// Reports an event. Nobody has to listen.
    pub(super) fn tell(&self, event: ServerEvent) {
        let _ = self.events.send(event);
    }

    /// Does a fault, and writes it down.
    pub(super) fn inject(&self, fault: Fault) {
        let sessions = *self.subscribers.borrow();
        let at = Instant::now();
        self.lock().fault(Injected { at, fault, sessions });
        self.tell(ServerEvent::FaultInjected { fault, sessions });
        match fault {
            Fault::Reset { mid_frame } => self.strike(Blow::Reset { mid_frame }),
            Fault::Silence => self.strike(Blow::Silence),
            Fault::RefuseUpgrade { times } => {
                // Before the drop: a client may be back at once. Each of those dropped is to be refused.
                let each = u32::try_from(sessions).unwrap_or(u32::MAX).max(1);
                self.refusals.store(times.saturating_mul(each), Ordering::Relaxed);
                self.strike(Blow::Drop);
            }
            Fault::CloseAndReopen => self.strike(Blow::Restart),
            Fault::Flood { trades } => self.market.flood(trades),
        }
    }

    /// Tells every session to say goodbye.
    pub(super) fn stop(&self) {
        self.strike(Blow::Stop);
    }

    /// Whether this upgrade is one of those to refuse; asking uses one up.
    pub(super) fn refuses(&self) -> bool {
        let take_one = |left: u32| left.checked_sub(1);
        self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok()
    }

    /// Reports an upgrade that was answered with `status`.
    pub(super) fn refused(&self, status: u16) {
        self.lock().refused += 1;
        self.tell(ServerEvent::Refused { status });
    }

    pub(super) fn blows(&self) -> broadcast::Receiver<Blow> {
        self.blows.subscribe()
    }

    pub(super) fn subscribers(&self) -> watch::Receiver<usize> {
        self.subscribers.subscribe()
    }

    /// The account so far.
    pub(super) fn ledger(&self) -> Ledger {
        let mut ledger = self.lock().clone();
        ledger.generated = self.market.made();
        ledger
    }

    fn strike(&self, blow: Blow) {
        // No receiver means no session: there is nobody to strike.
        let _ = self.blows.send(blow);
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's place in the account. It reports the end when dropped, so that no way of ending is forgotten.
pub(super) struct Seat {
    hub: Arc<Hub>,
    id: u64,
    peer: SocketAddr,
    /// Overwritten by whoever knows better: what is left is a session cut off when the server stopped.
    pub(super) end: End,
    wrote: Vec<Range<u64>>,
    subscribed: bool,
}

impl Seat {
    pub(super) fn new(hub: Arc<Hub>, peer: SocketAddr) -> Self {
        let id = 1 + hub.last_id.fetch_add(1, Ordering::Relaxed);
        hub.tell(ServerEvent::SessionOpened { id, peer });
        Self { hub, id, peer, end: End::Shutdown, wrote: Vec::new(), subscribed: false }
    }

    pub(super) fn subscribed(&self) -> bool {
        self.subscribed
    }

    /// From now on this session gets trades, from `first_seq` on.
    pub(super) fn subscribe(&mut self, first_seq: u64) {
        self.wrote.push(first_seq..first_seq);
        self.subscribed = true;
        self.hub.subscribers.send_modify(|count| *count += 1);
        self.hub.tell(ServerEvent::Subscribed { id: self.id, first_seq });
    }

    /// From now on it gets none, and no fault waits for it.
    pub(super) fn unsubscribe(&mut self) {
        if self.subscribed {
            self.subscribed = false;
            self.hub.subscribers.send_modify(|count| *count -= 1);
        }
    }

    /// The trade handed to the socket next. Zero, which no trade has, before the first subscription.
    pub(super) fn cursor(&self) -> u64 {
        self.wrote.last().map_or(0, |range| range.end)
    }

    /// The trade at the cursor was handed to the socket.
    pub(super) fn advance(&mut self) {
        if let Some(range) = self.wrote.last_mut() {
            range.end += 1;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.unsubscribe();
        let mut wrote = std::mem::take(&mut self.wrote);
        wrote.retain(|range| !range.is_empty());
        let record = SessionRecord { id: self.id, peer: self.peer, end: self.end, wrote };
        self.hub.lock().session(record.clone());
        self.hub.tell(ServerEvent::SessionClosed(record));
    }
}
