//! The worlds: small configurations, each with the bounds within which every interleaving is tried.

use std::time::Duration;

use tidegate_core::{Config, Feed, Overflow, Readiness, RetryPolicy};

use crate::handler::Numbers;

/// Time in the models: small whole numbers, so that clocks meet.
pub(crate) type Millis = u32;

/// Deadline of an attempt (C3).
pub(crate) const CONNECT: Millis = 4;
/// Deadline of the bootstrap (B3).
pub(crate) const BOOTSTRAP: Millis = 6;
/// Deadline of a closing handshake (C5).
pub(crate) const CLOSE: Millis = 2;
/// Delay before each retry (R2).
pub(crate) const DELAY: Millis = 2;
/// What a busy server asks for (R5).
pub(crate) const RETRY_AFTER: Millis = 4;
/// Live for this long ends the streak (R4).
pub(crate) const STABLE: Millis = 4;
/// Items in the queue (D3).
pub(crate) const BUFFER: u64 = 2;
/// How long after it asks the handler is woken (H4).
pub(crate) const WAKE: Millis = 2;
/// How much too late a clock may be read, or how long nothing happens where there is no deadline.
pub(crate) const LATE: Millis = 4;
/// Frames on their way out (O3).
pub(crate) const SEND_BUFFER: usize = 1;

/// One configuration and its bounds.
#[derive(Clone, Debug)]
pub struct World {
    /// What it is called in reports.
    pub name: &'static str,
    /// What happens when the queue is full (D4).
    pub overflow: Overflow,
    /// When a connection counts as Live (B2).
    pub readiness: Readiness,
    /// How many frames the bootstrap has (B1).
    pub bootstrap: u8,
    /// The liveness clocks.
    pub clocks: Clocks,
    /// Whether the handler asks to be woken.
    pub wakes: bool,
    /// Retries in a streak (R2).
    pub max_retries: u32,
    /// How often each thing may happen.
    pub budget: Budget,
}

/// The liveness clocks; `None` is off (L1-L5).
#[derive(Clone, Copy, Debug, Default)]
pub struct Clocks {
    /// `idle_timeout`.
    pub idle: Option<Millis>,
    /// `ping_interval` and `pong_timeout`.
    pub ping: Option<(Millis, Millis)>,
    /// `stale_after`.
    pub stale: Option<Millis>,
    /// `max_pause`.
    pub max_pause: Option<Millis>,
}

/// How often each thing may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Attempts to connect.
    pub attempts: u8,
    /// Data frames while reading is on.
    pub data: u8,
    /// Pings, pongs and Close frames of the peer.
    pub control: u8,
    /// Messages that the application sends.
    pub sends: u8,
    /// Requests of the consumer.
    pub requests: u8,
    /// Things that must have no effect: stale events, a second start.
    pub idle: u8,
    /// Ticks before the deadline.
    pub early: u8,
    /// Data frames although reading is held back.
    pub rude: u8,
    /// Panics of the handler.
    pub panics: u8,
    /// Times that time moves less far than the deadline, or farther.
    pub detours: u8,
}

impl World {
    /// A fresh feed of this world.
    pub(crate) fn feed(&self) -> Feed<Numbers> {
        Feed::new(self.config(), Numbers::new(self.bootstrap, self.readiness), 0)
    }

    /// Whether some clock watches a connection that is Live and read.
    pub(crate) const fn is_watched(&self) -> bool {
        self.clocks.idle.is_some() || self.clocks.ping.is_some() || self.clocks.stale.is_some()
    }

    fn config(&self) -> Config {
        let ms = |millis: Millis| Duration::from_millis(millis.into());
        let mut builder = Config::builder()
            .connect_timeout(ms(CONNECT))
            .bootstrap_timeout(ms(BOOTSTRAP))
            .close_timeout(ms(CLOSE))
            .stable_after(ms(STABLE))
            .retry(RetryPolicy::fixed(ms(DELAY)).max_retries(self.max_retries))
            .overflow(self.overflow)
            .buffer(BUFFER as usize)
            .send_buffer(SEND_BUFFER);
        if let Some(idle) = self.clocks.idle {
            builder = builder.idle_timeout(ms(idle));
        }
        if let Some((interval, timeout)) = self.clocks.ping {
            builder = builder.ping_interval(ms(interval)).pong_timeout(ms(timeout));
        }
        if let Some(stale) = self.clocks.stale {
            builder = builder.stale_after(ms(stale));
        }
        if let Some(pause) = self.clocks.max_pause {
            builder = builder.max_pause(ms(pause));
        }
        builder.build().expect("the worlds are valid configurations; every test builds them")
    }
}

/// All worlds. `extra` widens their bounds: 0 is for every build, 1 and more for a longer run by hand.
#[must_use]
pub fn worlds(extra: u8) -> Vec<World> {
    let budget = Budget { attempts: 2 + extra, detours: 1 + extra, ..Budget::default() };
    let plain = World {
        name: "connections",
        overflow: Overflow::Pause,
        readiness: Readiness::WhenFlushed,
        bootstrap: 1,
        clocks: Clocks::default(),
        wakes: false,
        max_retries: 2,
        budget: Budget {
            attempts: 3 + extra,
            control: 1,
            idle: 1,
            early: extra,
            panics: 1,
            data: 1,
            ..budget
        },
    };
    let mut worlds = vec![
        World {
            name: "no retries",
            max_retries: 0,
            budget: Budget { early: 1, ..plain.budget },
            ..plain.clone()
        },
        World {
            name: "acknowledged bootstrap",
            readiness: Readiness::WhenDeclared,
            bootstrap: 2,
            max_retries: 1,
            budget: Budget { data: 2 + extra, control: 1, idle: 1, ..budget },
            ..plain.clone()
        },
        World {
            name: "silence, pings and mute feeds",
            clocks: Clocks { idle: Some(6), ping: Some((4, 4)), stale: Some(8), max_pause: None },
            bootstrap: 0,
            max_retries: 1,
            budget: Budget { data: 1, control: 2 + extra, early: extra, ..budget },
            ..plain.clone()
        },
        World {
            name: "sending",
            budget: Budget { sends: 2 + extra, control: 1, data: 1, idle: extra, ..budget },
            max_retries: 1,
            ..plain.clone()
        },
        plain.clone(),
    ];
    worlds.extend(with_slow_consumer(&plain, budget, extra));
    worlds
}

fn with_slow_consumer(plain: &World, budget: Budget, extra: u8) -> Vec<World> {
    let queue = World {
        name: "slow consumer, pause",
        clocks: Clocks { idle: Some(4), max_pause: Some(6), ..Clocks::default() },
        budget: Budget { data: 3, requests: 1 + extra, rude: 1, ..budget },
        bootstrap: 0,
        max_retries: 1,
        ..plain.clone()
    };
    let one_connection = Budget { attempts: 1 + extra, ..queue.budget };
    let unwatched = World { clocks: Clocks::default(), ..queue.clone() };
    vec![
        World {
            name: "slow consumer, acknowledged bootstrap",
            readiness: Readiness::WhenDeclared,
            budget: Budget { rude: 0, ..one_connection },
            ..queue.clone()
        },
        World {
            name: "slow consumer, pings",
            clocks: Clocks { idle: None, ping: Some((4, 2)), stale: Some(6), max_pause: None },
            budget: Budget { data: 2, control: 1 + extra, rude: 0, ..one_connection },
            ..queue.clone()
        },
        World {
            name: "slow consumer, woken handler",
            wakes: true,
            budget: Budget { early: 1, rude: 0, ..one_connection },
            ..queue.clone()
        },
        World { name: "slow consumer, drop oldest", overflow: Overflow::DropOldest, ..unwatched.clone() },
        World { name: "slow consumer, drop newest", overflow: Overflow::DropNewest, ..unwatched.clone() },
        World { name: "slow consumer, disconnect", overflow: Overflow::Disconnect, ..unwatched },
        queue,
    ]
}
