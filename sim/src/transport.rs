//! The feed's end of a connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use tidegate_driver::core::{ConnectionFailure, Failure, Frame};

use crate::entry::Entry;
use crate::wire::Unit;
use crate::world::{Happening, Line, State, World};

/// An open connection in the simulated network.
pub struct SimTransport {
    world: World,
    line: Line,
}

impl SimTransport {
    pub(crate) fn open(world: World, line: Line) -> Self {
        world.state().open(line);
        Self { world, line }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State, Line) -> T) -> T {
        work(&mut self.world.state(), self.line)
    }
}

fn io(detail: &str) -> Failure {
    Failure::io(detail)
}

impl Drop for SimTransport {
    fn drop(&mut self) {
        let mut state = self.world.state();
        let Line { feed, id } = self.line;
        let wire = state.stations[feed].wire.take_if(|wire| wire.id == id);
        state.record(feed, &Entry::Gone { id });
        drop(state);
        // Its wakers may be the last of a task.
        drop(wire);
    }
}

impl Stream for SimTransport {
    type Item = Result<Frame, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.with(|state, line| {
            let Some(wire) = state.wire(line) else { return Poll::Ready(None) };
            let unit = loop {
                match wire.to_client.pop(wire.seen) {
                    // Behind what broke the protocol nothing is a frame any more.
                    Some(Unit::Frame(_) | Unit::Invalid) if wire.violated => {}
                    Some(Unit::Reset | Unit::Fin) if wire.violated => return Poll::Ready(None),
                    Some(unit) => break unit,
                    None => {
                        wire.reader = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                }
            };
            wire.violated |= matches!(unit, Unit::Invalid);
            let failure = match unit {
                Unit::Frame(frame) => {
                    state.record(line.feed, &Entry::Read { id: line.id, frame: frame.clone() });
                    return Poll::Ready(Some(Ok(frame)));
                }
                Unit::Reset => io("reset by peer"),
                Unit::Fin => io("end of stream without a Close frame"),
                Unit::Invalid => Failure::Connection(ConnectionFailure::Protocol {
                    code: 1002,
                    detail: "by the simulation".to_owned(),
                }),
                Unit::End => {
                    state.record(line.feed, &Entry::Broke { id: line.id, failure: io("closed") });
                    return Poll::Ready(None);
                }
            };
            state.record(line.feed, &Entry::Broke { id: line.id, failure: failure.clone() });
            Poll::Ready(Some(Err(failure)))
        })
    }
}

/// Frames arrive whole.
impl tidegate_driver::Transport for SimTransport {
    fn bytes_read(&self) -> u64 {
        0
    }
}

/// Whether the sink takes anything now.
fn writable(state: &mut State, line: Line, cx: &Context<'_>) -> Poll<Result<(), Failure>> {
    let now = state.now;
    let Some(wire) = state.wire(line) else { return Poll::Ready(Err(io("gone"))) };
    if wire.broken {
        return Poll::Ready(Err(io("broken pipe")));
    }
    let Some(at) = wire.writable_at(now) else { return Poll::Ready(Ok(())) };
    wire.writer = Some(cx.waker().clone());
    state.plan(at, Happening::Writable(line));
    Poll::Pending
}

impl Sink<Frame> for SimTransport {
    type Error = Failure;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.with(|state, line| writable(state, line, cx))
    }

    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<(), Failure> {
        self.with(|state, line| {
            state.record(line.feed, &Entry::Sent { id: line.id, frame: frame.clone() });
            if let Some(wire) = state.wire(line) {
                wire.client_closed |= matches!(frame, Frame::Close(_));
                wire.unflushed.push(frame);
            }
            Ok(())
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.with(|state, line| {
            std::task::ready!(writable(state, line, cx))?;
            let Some(wire) = state.wire(line) else { return Poll::Ready(Err(io("gone"))) };
            if wire.unflushed.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let mut frames = std::mem::take(&mut wire.unflushed);
            for frame in frames.drain(..) {
                state.push_to_server(line, frame);
            }
            if let Some(wire) = state.wire(line) {
                wire.unflushed = frames;
            }
            state.record(line.feed, &Entry::Flushed { id: line.id });
            Poll::Ready(Ok(()))
        })
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.poll_flush(cx)
    }
}
