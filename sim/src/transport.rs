//! The feed's end of a connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use tidegate_driver::core::{ConnectionFailure, Failure, Frame};

use crate::connection::{ConnectionKey, Gate, NEVER, Unit};
use crate::entry::Entry;
use crate::world::{ScheduledEvent, State, World};

/// An open connection in the simulated network.
pub struct SimTransport {
    world: World,
    key: ConnectionKey,
}

impl SimTransport {
    pub(crate) fn open(world: World, key: ConnectionKey) -> Self {
        world.state().open(key);
        Self { world, key }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State, ConnectionKey) -> T) -> T {
        work(&mut self.world.state(), self.key)
    }
}

fn io(detail: &str) -> Failure {
    Failure::io(detail)
}

impl Drop for SimTransport {
    fn drop(&mut self) {
        let mut state = self.world.state();
        let ConnectionKey { feed, id } = self.key;
        let connection = state.feeds[feed].connection.take_if(|connection| connection.id == id);
        state.record(feed, &Entry::Gone { id });
        if connection.is_some() {
            state.closed(self.key);
        }
        drop(state);
        // Its wakers may own the last reference to a task.
        drop(connection);
    }
}

impl Stream for SimTransport {
    type Item = Result<Frame, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.with(|state, key| {
            let by_hand = state.servers.is_test();
            let Some(connection) = state.connection(key) else { return Poll::Ready(None) };
            let unit = loop {
                match connection.to_client.pop(connection.seen) {
                    // No frame comes after a violation.
                    Some(Unit::Frame(_) | Unit::Invalid) if connection.violated => {}
                    Some(Unit::Reset | Unit::Fin) if connection.violated => return Poll::Ready(None),
                    Some(unit) => break unit,
                    None => {
                        connection.reader = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                }
            };
            connection.violated |= matches!(unit, Unit::Invalid);
            let failure = match unit {
                Unit::Frame(frame) => {
                    // A simulated server waits for no answer.
                    if let (true, false, Frame::Ping(payload)) = (by_hand, connection.client_closed, &frame) {
                        connection.unflushed.push(Frame::Pong(payload.clone()));
                    }
                    state.record(key.feed, &Entry::Read { id: key.id, frame: frame.clone() });
                    return Poll::Ready(Some(Ok(frame)));
                }
                Unit::Reset => io("reset by peer"),
                Unit::Fin => io("end of stream without a Close frame"),
                Unit::Invalid => Failure::Connection(ConnectionFailure::Protocol {
                    code: 1002,
                    detail: "by the simulation".to_owned(),
                }),
                Unit::End => {
                    state.record(key.feed, &Entry::Broke { id: key.id, failure: io("closed") });
                    return Poll::Ready(None);
                }
            };
            state.record(key.feed, &Entry::Broke { id: key.id, failure: failure.clone() });
            Poll::Ready(Some(Err(failure)))
        })
    }
}

/// Frames arrive whole, but for those that a test sends in parts.
impl tidegate_driver::Transport for SimTransport {
    fn bytes_read(&self) -> u64 {
        self.with(|state, key| state.connection(key).map_or(0, |connection| connection.partial))
    }
}

/// Whether anything passes the gate now.
fn pass(state: &mut State, key: ConnectionKey, gate: Gate, cx: &Context<'_>) -> Poll<Result<(), Failure>> {
    let now = state.now;
    let Some(connection) = state.connection(key) else { return Poll::Ready(Err(io("gone"))) };
    if connection.broken {
        return Poll::Ready(Err(io("broken pipe")));
    }
    let held = (connection.held == Some(gate)).then_some(NEVER);
    let Some(at) = held.or_else(|| connection.writable_at(now)) else { return Poll::Ready(Ok(())) };
    connection.writer = Some(cx.waker().clone());
    state.schedule(at, ScheduledEvent::Writable(key));
    Poll::Pending
}

impl Sink<Frame> for SimTransport {
    type Error = Failure;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.with(|state, key| pass(state, key, Gate::Write, cx))
    }

    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<(), Failure> {
        self.with(|state, key| {
            state.record(key.feed, &Entry::Sent { id: key.id, frame: frame.clone() });
            if let Some(connection) = state.connection(key) {
                assert!(!connection.client_closed, "nothing follows Close");
                connection.client_closed |= matches!(frame, Frame::Close(_));
                connection.unflushed.push(frame);
            }
            Ok(())
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.with(|state, key| {
            std::task::ready!(pass(state, key, Gate::Flush, cx))?;
            let Some(connection) = state.connection(key) else { return Poll::Ready(Err(io("gone"))) };
            if connection.unflushed.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let mut frames = std::mem::take(&mut connection.unflushed);
            for frame in frames.drain(..) {
                state.push_to_server(key, frame);
            }
            if let Some(connection) = state.connection(key) {
                connection.unflushed = frames;
            }
            state.record(key.feed, &Entry::Flushed { id: key.id });
            Poll::Ready(Ok(()))
        })
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.poll_flush(cx)
    }
}
