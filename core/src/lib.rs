//! The state machine of tidegate: everything a resilient WebSocket feed decides, and nothing else.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod action;
mod bootstrap;
mod config;
mod demand;
mod event;
mod failure;
mod feed;
mod frame;
mod handler;
mod liveness;
mod outbox;
mod phase;
mod retry;
mod stats;
mod time;

pub use action::{Action, Notice};
pub use bootstrap::Readiness;
pub use config::{Config, ConfigBuilder, ConfigError, Value};
pub use demand::{Delivery, DemandWindow, Overflow};
pub use event::Event;
pub use failure::{BootstrapFailure, Failure, Fault, Severity, StopReason};
pub use feed::Feed;
pub use frame::{CloseFrame, ConnectionId, Frame, Message};
pub use handler::{
    Context, FrameHandler, FromFn, PassThrough, SendError, Step, Upgrade, WithBootstrap, from_fn,
};
pub use phase::{Phase, TRANSITIONS, Transition};
pub use retry::{Class, Classification, Jitter, RetryPolicy, RetryState};
pub use stats::Stats;
pub use time::{Deadline, Timestamp};
