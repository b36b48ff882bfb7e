//! The state machine of tidegate: everything a resilient WebSocket feed decides, and nothing else.
//!
//! A [`Machine`] keeps one connection up: it says when to dial, what to send first, when a connection is dead, how long to
//! wait before the next, when to stop reading because the consumer is slow, and when to give up. It performs no I/O,
//! reads no clock and knows no runtime: an adapter, or your own loop, tells it what happened and carries out what it
//! asks for. Most programs want the package `tidegate`, which has such loops; this one is for building another, and for
//! tests that replay a run to the nanosecond.
//!
//! # The contract
//!
//! You call, in this order and again after everything that happens:
//!
//! 1. [`Machine::handle`] with one [`Event`] and the time. [`Event::Start`] comes first.
//! 2. [`Machine::poll_action`] until it gives none, carrying out each [`Action`]; and [`Machine::poll_send`] for as long as the
//!    connection takes frames.
//! 3. [`Machine::poll_delivery`] until it gives none. Items come only as far as the consumer has asked for them with
//!    [`Machine::request`]; markers (`Live`, `Interrupted`, `Dropped`) stand exactly where continuity broke.
//! 4. Then wait for the first of: [`Machine::deadline`], which calls for [`Event::Tick`]; a frame, but only while
//!    [`Machine::wants_frames`]; the end of a dial, a flush or a connection; or the application.
//!
//! What you owe the machine: time that never runs backwards; every connection's outcome under the [`ConnectionId`] it was
//! asked for with; [`Event::Flushed`] when all that was taken is with the operating system; answers to pings; and
//! [`Event::HandlerPanicked`] if you catch a panic in `handle`.
//!
//! What you may count on (`docs/design.md` has the rules by name):
//!
//! - At most one connection is dialed or open at a time, and ids only grow. An event about any other connection than the
//!   current one changes nothing (C1, C2).
//! - Nothing hangs: every phase but idle, stopped, and a live connection without clocks has a deadline, which after a
//!   `Tick` lies in the future. While reading is held back only `max_pause` is one (P1, P2, L5).
//! - Every ending takes the same path: classify, then retry or stop (R1). What a connection accepted for sending is
//!   never sent on a later one (O1).
//! - Items come out in order, each once, unless you chose a policy that drops; the queue is bounded (D2, D3).
//! - The same configuration, seed and events give the same actions and deliveries (P3).
//!
//! # The states
//!
//! ```text
//! idle --start--> connecting
//! idle --shutdown--> stopped
//! connecting --upgraded--> bootstrapping
//! connecting --bootstrap refused--> closing
//! connecting --failed or timed out--> waiting
//! connecting --shutdown, fatal, or no retries left--> stopped
//! bootstrapping --all flushed, handler ready--> live
//! bootstrapping --shutdown, peer closes, or fault--> closing
//! bootstrapping --lost or timed out--> waiting
//! bootstrapping --no retries left--> stopped
//! live --shutdown, peer closes, fault, or mute--> closing
//! live --lost, silent, or overflow--> waiting
//! live --no retries left--> stopped
//! closing --socket gone or close timeout--> waiting
//! closing --socket gone or close timeout, after a shutdown or for good--> stopped
//! waiting --delay over--> connecting
//! waiting --shutdown--> stopped
//! ```
//!
//! # An example without a runtime
//!
//! ```
//! use std::time::Duration;
//! use tidegate_core::{
//!     Action, Config, Connected, ConnectionId, Deadline, Delivery, Event, Failure, Machine, Frame, FrameHandler, PassThrough, Phase,
//!     RetryPolicy, Timestamp,
//! };
//!
//! let at = Timestamp::from_millis;
//! let id = ConnectionId::new(1);
//! let config = Config::builder().retry(RetryPolicy::fixed(Duration::from_millis(500))).build()?;
//! let handler = PassThrough.with_bootstrap(|_| Ok(["subscribe"]));
//! let mut feed = Machine::new(config, handler, 0);
//! // The notices tell whoever watches; this loop has nobody.
//! let asked = |feed: &mut Machine<_>| -> Vec<Action> {
//!     std::iter::from_fn(|| feed.poll_action()).filter(|action| !matches!(action, Action::Notify(_))).collect()
//! };
//!
//! feed.handle(Event::Start, at(0));
//! assert_eq!(asked(&mut feed), [Action::Connect { id }]);
//!
//! // The upgrade is complete: the subscription goes out, and once it is flushed the feed is live.
//! feed.handle(Event::Connected { id, connected: Connected::default() }, at(30));
//! assert_eq!(feed.poll_send(id), Some(Frame::from("subscribe")));
//! feed.handle(Event::Flushed { id }, at(31));
//! assert_eq!(feed.phase(), Phase::Live);
//!
//! // A message comes in, and goes out when the consumer asks for it.
//! feed.handle(Event::Frame { id, frame: Frame::from("tick") }, at(40));
//! assert_eq!(feed.poll_delivery(at(40)), Some(Delivery::Live { id }));
//! assert_eq!(feed.poll_delivery(at(40)), None);
//! feed.request(10);
//! assert_eq!(feed.poll_delivery(at(41)), Some(Delivery::Item("tick".into())));
//!
//! // The connection breaks: the consumer is told, and the next attempt comes when its time has come.
//! let failure = Failure::io("reset by peer");
//! feed.handle(Event::Lost { id, failure: failure.clone() }, at(100));
//! assert_eq!(feed.poll_delivery(at(100)), Some(Delivery::Interrupted { id, failure: Some(failure) }));
//! assert_eq!(feed.deadline(), Deadline::At(at(600)));
//! feed.handle(Event::Tick, at(600));
//! assert_eq!(asked(&mut feed), [Action::Connect { id: ConnectionId::new(2) }]);
//! # Ok::<(), tidegate_core::ConfigError>(())
//! ```
//!
//! `examples/blocking.rs` is the same as a whole loop, with threads. `tidegate-sim` runs a handler of your own under faults, in
//! virtual time: `docs/guide/test-your-handler.md` takes ten minutes.
//!
//! # To change X, open Y
//!
//! One room per concern. The rooms know neither [`Event`] nor [`Action`]; `machine.rs` alone sees them all. `handler.rs` uses
//! `demand.rs` and `outbox.rs`, `bootstrap.rs` uses `outbox.rs`, and `config.rs` collects the options of all.
//!
//! | to change | open | rules |
//! |---|---|---|
//! | what the outside can say, or be asked for and told | `event.rs`, `action.rs` | T1 |
//! | which phases and moves there are, and what each holds | `phase.rs` | P1 |
//! | which event does what in which phase | `machine.rs`; of all phases `machine/routing.rs`, of an open connection `machine/open.rs` | C1-C5, H2-H4 |
//! | how attempts, connections and the feed end, and what is told of it | `machine/ending.rs` | R1, R4, S1, T2, H5 |
//! | why something ended, its names, what is fatal | `failure.rs`; each group `failure/` | B4, R6 |
//! | how text of a peer is shown | `escape.rs` | T3 |
//! | delays, jitter, `Retry-After`, classification | `retry.rs` | R2-R6 |
//! | idle, ping and stale clocks, pauses | `liveness.rs` | L1-L6 |
//! | what is owed before a connection is live | `bootstrap.rs` | B2, B3 |
//! | what handlers see and may ask for; the ready-made ones | `handler.rs` | H1-H4, B1 |
//! | the queue, its bounds, overflow, markers; what a consumer asks for | `demand.rs` | D1-D5 |
//! | what goes out, and the bound on it | `outbox.rs` | O1, O3 |
//! | an option, its default, its check, the words of its error | `config.rs`, `config/error.rs` | |
//! | frames, messages, ids; time and deadlines; figures | `frame.rs`; `time.rs`; `machine.rs` | C2, P2 |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod action;
mod bootstrap;
mod config;
mod demand;
pub mod escape;
mod event;
mod failure;
mod frame;
mod handler;
mod liveness;
mod machine;
mod outbox;
mod phase;
mod retry;
mod time;

pub use action::{Action, Notice};
pub use bootstrap::Readiness;
pub use config::{Config, ConfigBuilder, ConfigError, Value};
pub use demand::{Delivery, DemandWindow, Overflow};
pub use event::{Connected, Event};
pub use failure::{
    BootstrapFailure, ConnectFailure, ConnectionFailure, Failure, Fault, LocalFailure, ProxyProblem, Refusal,
    Severity, StopReason, TlsProblem,
};
pub use frame::{CloseFrame, ConnectionId, Frame, Message};
pub use handler::{
    Context, FrameHandler, FromFn, PassThrough, SendError, Step, Upgrade, WithBootstrap, from_fn,
};
pub use machine::{Machine, Stats};
pub use phase::{Phase, TRANSITIONS, Transition};
pub use retry::{Backoff, Class, Classification, Jitter, NextState, RetryPolicy, RetryState};
pub use time::{Deadline, Timestamp};
