//! The state machine of tidegate: everything that a resilient WebSocket feed decides, and nothing else.
//!
//! A [`Machine`] keeps one connection open. It decides when to dial, what to send first, when a connection is dead, how
//! long to wait before the next attempt, when to pause reading because the consumer is slow, and when to give up.
//!
//! It performs no I/O, reads no clock and knows no runtime. An embedding loop reports what happened, and carries out
//! what the machine asks for. Most programs want the package `tidegate`, which has such loops. Use this package to
//! write another loop, or tests that replay a run to the nanosecond.
//!
//! # The contract
//!
//! The loop calls, in this order, and again after everything that happens:
//!
//! 1. [`Machine::handle`] with one [`Event`] and the time. [`Event::Start`] is the first.
//! 2. [`Machine::poll_action`] until it returns `None`, carrying out each [`Action`]; and [`Machine::poll_send`] as
//!    long as the connection accepts frames.
//! 3. [`Machine::poll_delivery`] until it returns `None`. Items are returned only as far as the consumer has requested
//!    them with [`Machine::request`]. Markers (`Opened`, `Live`, `Interrupted`, `Dropped`) are exactly where continuity broke.
//! 4. Then it waits for the first of: [`Machine::deadline`], for an [`Event::Tick`]; a frame, but only while
//!    [`Machine::wants_frames`] returns `true`; the end of an attempt, a flush or a connection; or the application.
//!
//! The loop must pass times that never go backwards, and report:
//!
//! - the outcome of every connection, with the [`ConnectionId`] that it was requested with;
//! - [`Event::Flushed`] when all frames taken so far are with the operating system;
//! - [`Event::HandlerPanicked`] if it catches a panic of `handle`;
//! - [`Event::RuntimeStopped`] if it cannot continue, because the runtime under it goes away.
//!
//! The transport must answer pings. The machine itself answers a Close; a transport that does so too must discard
//! the machine's Close after the peer's. After its own Close, the loop continues to read until the peer's Close or the
//! end of the stream.
//!
//! The machine decides by time alone, so what has arrived must be read before time counts: before an
//! [`Event::Tick`] that is due to [`Machine::failure_deadline`], read all frames that have arrived, and report bytes of
//! an unfinished frame by [`Event::Heard`].
//!
//! The machine guarantees ([the design](https://github.com/tidegate/tidegate/blob/main/docs/design.md) has all rules by name):
//!
//! - At most one connection is dialed or open at a time, and ids strictly increase. An event about another connection
//!   than the current one changes nothing.
//! - Nothing hangs. Every phase has a deadline, except idle, stopped, and live without liveness clocks. After a `Tick`
//!   it lies in the future. While a slow consumer pauses reading, only `max_pause` is a deadline.
//! - Every end of a connection takes the same path: classify, then retry or stop. A frame accepted on one
//!   connection is never sent on a later one.
//! - Items are delivered in order, each exactly once, unless a policy drops them. The queue is bounded.
//! - The same configuration, seed and events give the same actions and deliveries.
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
//! live --shutdown, peer closes, fault, or stale--> closing
//! live --lost, silent, or overflow--> waiting
//! live --no retries left--> stopped
//! closing --socket gone or close timeout--> waiting
//! closing --socket gone or close timeout, after a shutdown, fatal, or no retries left--> stopped
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
//! // Notices are for observers; this loop has none.
//! let asked = |feed: &mut Machine<_>| -> Vec<Action> {
//!     std::iter::from_fn(|| feed.poll_action()).filter(|action| !matches!(action, Action::Notify(_))).collect()
//! };
//!
//! feed.handle(Event::Start, at(0));
//! assert_eq!(asked(&mut feed), [Action::Connect { id }]);
//!
//! // The upgrade is complete. The subscription is sent, and once it is flushed, the feed is live.
//! feed.handle(Event::Connected { id, connected: Connected::default() }, at(30));
//! assert_eq!(feed.poll_send(id), Some(Frame::from("subscribe")));
//! feed.handle(Event::Flushed { id }, at(31));
//! assert_eq!(feed.phase(), Phase::Live);
//!
//! // A message arrives. It is delivered when the consumer requests it.
//! feed.handle(Event::Frame { id, frame: Frame::from("tick") }, at(40));
//! assert_eq!(feed.poll_delivery(at(40)), Some(Delivery::Opened { id }));
//! assert_eq!(feed.poll_delivery(at(40)), Some(Delivery::Live { id }));
//! assert_eq!(feed.poll_delivery(at(40)), None);
//! feed.request(10);
//! assert_eq!(feed.poll_delivery(at(41)), Some(Delivery::Item("tick".into())));
//!
//! // The connection breaks. The consumer gets a marker, and the next attempt starts after the delay.
//! let failure = Failure::io("reset by peer");
//! feed.handle(Event::Lost { id, failure: failure.clone() }, at(100));
//! assert_eq!(feed.poll_delivery(at(100)), Some(Delivery::Interrupted { id, failure: Some(failure) }));
//! assert_eq!(feed.deadline(), Deadline::At(at(600)));
//! feed.handle(Event::Tick, at(600));
//! assert_eq!(asked(&mut feed), [Action::Connect { id: ConnectionId::new(2) }]);
//! # Ok::<(), tidegate_core::ConfigError>(())
//! ```
//!
//! [A longer example](https://github.com/tidegate/tidegate/blob/main/core/examples/blocking.rs)
//! is a whole loop, with threads. `tidegate-sim` tests a handler of your own under faults, in virtual time: see
//! [the guide](https://github.com/tidegate/tidegate/blob/main/docs/guide/test-your-handler.md).
//!
//! # To change X, open Y
//!
//! There is one module per concern. Only `machine.rs` uses [`Event`] and [`Action`]. The others use one another little:
//! a handler's context writes to `demand.rs` and `outbox.rs`, `phase.rs` holds the state of `bootstrap.rs` and
//! `liveness.rs`, which take a pause of `demand.rs` as an argument, and `config.rs` collects the options of all.
//!
//! | to change | open |
//! |---|---|
//! | events, actions and notices | `event.rs`, `action.rs` |
//! | phases, transitions, and the data of each phase | `phase.rs` |
//! | which event has which effect in which phase | `machine.rs`; for all phases `machine/routing.rs`, for an open connection `machine/open.rs` |
//! | how attempts, connections and the feed end, and how that is reported | `machine/ending.rs` |
//! | failures and stop reasons: names, texts, what is fatal | `failure.rs`; each group in `failure/` |
//! | how text of a peer is displayed | `escape.rs` |
//! | delays, jitter, `Retry-After` | `retry.rs` |
//! | which failures are retried | `retry/classification.rs` |
//! | idle, ping and stale clocks | `liveness.rs` |
//! | when a connection is live | `bootstrap.rs` |
//! | what a handler is; what it may ask for, and lend; the ready-made handlers | `handler.rs`; `handler/context.rs`; `handler/ready_made.rs` |
//! | its timers; commands to it | `timers.rs`; `machine/command.rs` |
//! | the queue, its bounds, overflow, pauses, markers; the consumer's demand | `demand.rs`; markers in `demand/marker.rs` |
//! | a check of what a consumer receives | `continuity.rs` |
//! | outgoing frames, and the bound on them | `outbox.rs` |
//! | an option, its default, its check, the text of its error | `config.rs`, `config/builder.rs`, `config/error.rs` |
//! | frames, messages, ids; time and deadlines; figures | `frame.rs`; `time.rs`; `machine.rs` |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod action;
mod bootstrap;
mod config;
mod continuity;
mod demand;
pub mod escape;
mod event;
mod failure;
mod frame;
mod handler;
mod harness;
mod headers;
mod liveness;
mod machine;
mod outbox;
mod phase;
mod retry;
mod time;
mod timers;

pub use action::{Action, Notice};
pub use config::{Config, ConfigBuilder, ConfigError, Value};
pub use continuity::{Continuity, Discontinuity};
pub use demand::{Delivery, DemandWindow, Overflow};
pub use event::{Connected, Event};
pub use failure::{
    BootstrapFailure, ConnectFailure, ConnectionFailure, Failure, Fault, LocalFailure, ProxyProblem, Refusal,
    Severity, StopReason, TlsProblem,
};
pub use frame::{CloseFrame, CloseFrameError, ConnectionId, Frame, Message};
pub use handler::{
    CommandHandler, Context, Emitter, FrameHandler, FromFn, InnerTimer, Map, PassThrough, SendError, Step,
    Upgrade, WithBootstrap, from_fn,
};
pub use harness::Harness;
pub use headers::Headers;
pub use machine::{CommandError, Machine, Stats};
pub use phase::{Phase, TRANSITIONS, Transition};
pub use retry::{Backoff, Class, Classification, Exception, Jitter, NextState, RetryPolicy, RetryState};
pub use time::{Deadline, Timestamp};
pub use timers::TimerKey;
