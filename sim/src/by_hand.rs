//! A world that a test steps by hand: it is the clock, the executor and the server.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::Frame;

use crate::connection::{ConnectionKey, Gate, SimConnection, Unit};
use crate::fault::Faults;
use crate::injector::Injector;
use crate::runtime::SimRuntime;
use crate::server::{Dial, Servers};
use crate::simulation::Simulation;
use crate::world::{Network, World};

/// For tests that step a world by hand.
impl SimRuntime {
    /// Returns the runtime of one feed in a world without faults. The test is the server. No rules are checked.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate_sim::core::{Config, Frame, Phase, RetryPolicy};
    /// use tidegate_sim::driver::{BuildError, FeedBuilder, Spawn};
    /// use tidegate_sim::{Network, SimRuntime};
    ///
    /// let second = Duration::from_secs(1);
    /// let world = SimRuntime::by_hand(Network::default());
    /// let mut feed = FeedBuilder::new(world.clone(), "ws://server.sim/")
    ///     .config(Config::builder().retry(RetryPolicy::fixed(second)))
    ///     .on_upgrade(|_| Ok(["subscribe"]))
    ///     .spawn()?;
    /// world.settle();
    /// let first = world.remote().unwrap();
    /// assert_eq!(first.received(), [Frame::from("subscribe")]);
    ///
    /// let handle = feed.handle();
    /// // Deliveries are taken by a task.
    /// world.spawn(async move { while feed.recv().await.is_some() {} });
    /// first.send("tick");
    /// world.settle();
    /// assert_eq!(handle.stats().delivered, 1);
    ///
    /// first.reset();
    /// world.settle();
    /// assert_eq!((handle.phase(), first.is_open()), (Phase::Waiting, false));
    /// world.advance(second);
    /// world.settle();
    /// assert_eq!(handle.phase(), Phase::Live);
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn by_hand(network: Network) -> Self {
        let rules = Simulation::builder().feeds(0);
        let journal = rules.journal(&rules.rules());
        let injector = Injector::new(Faults::none(), None, Rng::with_seed(0));
        let servers = Servers::Test { dials: VecDeque::new(), attempts: 0 };
        Self::new(World::new(1, Rng::with_seed(0), injector, network, servers, journal))
    }

    /// Adds the outcome of an attempt, after those added before. Attempts without one have [`Dial::Accept`].
    pub fn next_dial(&self, dial: Dial) {
        if let Servers::Test { dials, .. } = &mut self.world.state().servers {
            dials.push_back(dial);
        }
    }

    /// Polls woken tasks until none is left. Returns the number of polls.
    ///
    /// # Panics
    /// Panics if tasks still wake after 100,000 polls, or if a task panics.
    pub fn settle(&self) -> usize {
        self.run().expect("the tasks come to rest")
    }

    /// Moves the clock by `span`, and wakes the tasks whose time has come. They run at the new time, as in a process that was
    /// suspended.
    ///
    /// A feed looks once more before it ends a silent connection: after `idle_timeout`, settle, advance by a millisecond and
    /// settle again.
    pub fn advance(&self, span: Duration) {
        let mut state = self.world.state();
        state.now = state.now.saturating_add(span);
        state.catch_up();
    }

    /// Returns the other end of the open connection.
    #[must_use]
    pub fn remote(&self) -> Option<Remote> {
        let id = self.world.state().feeds[self.feed].connection.as_ref()?.id;
        Some(Remote { world: self.world.clone(), key: ConnectionKey { feed: self.feed, id } })
    }
}

/// The server's end of a connection, held by a test. Clones are the same end.
///
/// It answers nothing by itself, neither pings nor Close. An orderly end is a Close, sent, and then [`end`](Self::end). Frames take the time that the [`Network`] says: none by default. Once
/// the feed has dropped its end, nothing is sent or received any more.
#[derive(Clone)]
pub struct Remote {
    world: World,
    key: ConnectionKey,
}

impl Remote {
    /// Sends a frame.
    pub fn send(&self, frame: impl Into<Frame>) {
        self.push(Unit::Frame(frame.into()));
    }

    /// Sends this many bytes of a frame that is not complete yet.
    pub fn send_bytes(&self, bytes: u64) {
        self.change(|connection| connection.partial += bytes);
    }

    /// Resets the connection.
    pub fn reset(&self) {
        self.push(Unit::Reset);
    }

    /// Ends the TCP stream as after a closing handshake.
    pub fn end(&self) {
        self.push(Unit::End);
    }

    /// Fails every write and flush from now on. What was sent can still be read.
    pub fn break_writing(&self) {
        self.change(|connection| connection.broken = true);
    }

    /// Holds up the frames that the feed writes, until [`release`](Self::release). Replaces an earlier gate.
    pub fn hold(&self, gate: Gate) {
        self.change(|connection| connection.held = Some(gate));
    }

    /// Lets the feed write again.
    pub fn release(&self) {
        self.change(|connection| connection.held = None);
    }

    /// Returns all frames that have arrived so far, and the feed's answers to pings. None once the feed has dropped its end.
    #[must_use]
    pub fn received(&self) -> Vec<Frame> {
        let mut state = self.world.state();
        let now = state.now;
        state.connection(self.key).map_or_else(Vec::new, |connection| connection.to_server.arrived(now))
    }

    /// Returns the number of frames sent that the feed has not read.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.world.state().connection(self.key).map_or(0, |connection| connection.to_client.len())
    }

    /// Returns whether the feed still holds its end.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.world.state().connection(self.key).is_some()
    }

    fn push(&self, unit: Unit) {
        let mut state = self.world.state();
        state.push(self.key, unit);
        state.catch_up();
    }

    fn change(&self, change: impl FnOnce(&mut SimConnection)) {
        let mut state = self.world.state();
        state.connection(self.key).map(change);
        state.wake_client(self.key);
    }
}
