//! The worlds: small configurations, each with the bounds within which every interleaving is tried.

use std::time::Duration;

use tidegate_core::{Config, ConfigBuilder, Overflow, RetryPolicy};
use tidegate_rules::{Numbers, Setup};

/// Time in the models: small whole numbers, so that clocks meet.
pub(crate) type Millis = u32;

/// What a busy server asks for (R5).
pub(crate) const RETRY_AFTER: Duration = ms(4);
/// How long after a message its timer is due, in milliseconds (H4). An odd number is for the other timer.
pub(crate) const WAKE: u16 = 2;
/// How much too late a clock may be read, or how long nothing happens where there is no deadline.
pub(crate) const LATE: Millis = 4;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One configuration and its bounds.
#[derive(Clone, Debug)]
pub struct World {
    /// What it is called in reports.
    pub name: String,
    /// The configuration, and what the handler is like.
    pub setup: Setup,
    /// Whether messages set timers.
    pub wakes: bool,
    /// How often each thing may happen.
    pub budget: Budget,
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
    /// Data frames while reading is paused.
    pub rude: u8,
    /// Panics of the handler.
    pub panics: u8,
    /// Commands of the application.
    pub commands: u8,
    /// Things that the application asks for: a new connection, the end of a delay, a ping.
    pub asks: u8,
    /// Times that time moves less far than the deadline, or farther.
    pub detours: u8,
}

/// Every span is short, so that clocks meet; one retry, one bootstrap frame.
fn setup() -> Setup {
    let config = Config::builder()
        .ping_interval(None)
        .connect_timeout(ms(4))
        .bootstrap_timeout(ms(6))
        .close_timeout(ms(2))
        .stable_after(ms(4))
        .buffer(2)
        .send_buffer(1)
        .retry(retries(1));
    let handler = Numbers { bootstrap: 1, weighs_by_number: true, ..Numbers::default() };
    Setup { seed: 0, config: config.build().expect("it is valid"), handler }
}

/// With other options.
fn with(setup: Setup, change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Setup {
    Setup { config: change(setup.config.into()).build().expect("it is valid"), ..setup }
}

fn retries(max: u32) -> RetryPolicy {
    RetryPolicy::fixed(ms(2)).max_retries(max)
}

fn handled(bootstrap: u8, declares: bool) -> Setup {
    let plain = setup();
    Setup { handler: Numbers { bootstrap, declares, ..plain.handler }, ..plain }
}

/// All worlds. `extra` widens their bounds: 0 is for every build, 1 and more for a longer run by hand.
#[must_use]
pub fn worlds(extra: u8) -> Vec<World> {
    let budget = Budget { attempts: 2 + extra, detours: 1 + extra, ..Budget::default() };
    let plain = World {
        name: "connections".to_owned(),
        setup: with(setup(), |config| config.retry(retries(2))),
        wakes: false,
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
            name: "no retries".to_owned(),
            setup: with(setup(), |config| config.retry(retries(0))),
            budget: Budget { early: 1, ..plain.budget },
            ..plain.clone()
        },
        World {
            name: "acknowledged bootstrap".to_owned(),
            setup: handled(2, true),
            budget: Budget { data: 2 + extra, control: 1, idle: extra, ..budget },
            ..plain.clone()
        },
        World {
            name: "silence, pings and mute feeds".to_owned(),
            setup: with(handled(0, false), |config| {
                config.idle_timeout(ms(6)).ping_interval(ms(4)).pong_timeout(ms(4)).stale_after(ms(8))
            }),
            budget: Budget { data: 1, control: 2 + extra, early: extra, ..budget },
            ..plain.clone()
        },
        World {
            name: "sending".to_owned(),
            setup: setup(),
            budget: Budget { sends: 2 + extra, control: 1, data: 1, idle: extra, ..budget },
            ..plain.clone()
        },
        World {
            name: "an application that asks".to_owned(),
            setup: with(setup(), |config| config.pong_timeout(ms(4)).ping_interval(ms(20))),
            budget: Budget { asks: 2 + extra, control: 1, detours: extra, ..budget },
            ..plain.clone()
        },
        plain.clone(),
    ];
    worlds.extend(with_slow_consumer(&plain, budget, extra));
    worlds
}

fn with_slow_consumer(plain: &World, budget: Budget, extra: u8) -> Vec<World> {
    let watched = |setup| with(setup, |config| config.idle_timeout(ms(4)).max_pause(ms(6)));
    let queue = World {
        name: "slow consumer, pause".to_owned(),
        setup: watched(handled(0, false)),
        budget: Budget { data: 3, requests: 1 + extra, rude: 1, ..budget },
        ..plain.clone()
    };
    let one_connection = Budget { attempts: 1 + extra, ..queue.budget };
    let unwatched = |overflow| World {
        name: format!("slow consumer, {overflow:?}"),
        setup: with(handled(0, false), |config| config.overflow(overflow)),
        ..queue.clone()
    };
    let mut worlds: Vec<_> = Overflow::ALL
        .iter()
        .copied()
        .filter(|overflow| *overflow != Overflow::Pause)
        .map(unwatched)
        .collect();
    worlds.extend([
        World {
            name: "slow consumer, acknowledged bootstrap".to_owned(),
            setup: watched(handled(0, true)),
            budget: Budget { rude: 0, ..one_connection },
            ..queue.clone()
        },
        World {
            name: "slow consumer, pings".to_owned(),
            setup: with(handled(0, false), |config| {
                config.ping_interval(ms(4)).pong_timeout(ms(2)).stale_after(ms(6))
            }),
            budget: Budget { data: 2, control: 1 + extra, rude: 0, ..one_connection },
            ..queue.clone()
        },
        World {
            name: "slow consumer, timers".to_owned(),
            wakes: true,
            budget: Budget { early: 1, rude: 0, ..one_connection },
            ..queue.clone()
        },
        World {
            name: "slow consumer, commands".to_owned(),
            budget: Budget { data: 1, commands: 2 + extra, rude: 0, ..one_connection },
            ..queue.clone()
        },
        queue,
    ]);
    worlds
}
