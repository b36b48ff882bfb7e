//! The feed's end of a connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use tidegate_driver::core::{Failure, Frame};

use crate::entry::Entry;
use crate::wire::{Unit, Wire};
use crate::world::{Happening, State, World};

/// An open connection in the simulated network.
pub struct SimTransport {
    world: World,
    id: u64,
}

impl SimTransport {
    pub(crate) fn open(world: World, id: u64) -> Self {
        world.state().open(id);
        Self { world, id }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State, u64) -> T) -> T {
        work(&mut self.world.state(), self.id)
    }
}

fn io(detail: &str) -> Failure {
    Failure::Io { detail: detail.to_owned() }
}

impl Drop for SimTransport {
    fn drop(&mut self) {
        let mut state = self.world.state();
        let wire = state.wires.remove(&self.id);
        state.record(&Entry::Gone { id: self.id });
        drop(state);
        // Its wakers may be the last of a task.
        drop(wire);
    }
}

impl Stream for SimTransport {
    type Item = Result<Frame, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.with(|state, id| {
            let now = state.now;
            let Some(wire) = state.wires.get_mut(&id) else { return Poll::Ready(None) };
            let Some(unit) = wire.to_client.pop(now) else {
                wire.reader = Some(cx.waker().clone());
                return Poll::Pending;
            };
            let failure = match unit {
                Unit::Frame(frame) => {
                    state.record(&Entry::Read { id, frame: frame.clone() });
                    return Poll::Ready(Some(Ok(frame)));
                }
                Unit::Reset => io("reset by peer"),
                Unit::Fin => io("end of stream without a Close frame"),
                Unit::Invalid => Failure::Protocol { detail: "by the simulation".to_owned() },
                Unit::End => {
                    state.record(&Entry::Broke { id, failure: io("closed") });
                    return Poll::Ready(None);
                }
            };
            state.record(&Entry::Broke { id, failure: failure.clone() });
            Poll::Ready(Some(Err(failure)))
        })
    }
}

/// Whether the sink takes anything now.
fn writable(
    wire: &mut Wire,
    now: tidegate_driver::core::Timestamp,
    cx: &Context<'_>,
) -> Poll<Result<(), Failure>> {
    if wire.broken {
        return Poll::Ready(Err(io("broken pipe")));
    }
    if wire.blocked_until > now {
        wire.writer = Some(cx.waker().clone());
        return Poll::Pending;
    }
    Poll::Ready(Ok(()))
}

impl Sink<Frame> for SimTransport {
    type Error = Failure;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.with(|state, id| {
            let now = state.now;
            state.wires.get_mut(&id).map_or(Poll::Ready(Err(io("gone"))), |wire| writable(wire, now, cx))
        })
    }

    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<(), Failure> {
        self.with(|state, id| {
            state.record(&Entry::Sent { id, frame: frame.clone() });
            if let Some(wire) = state.wires.get_mut(&id) {
                wire.client_closed |= matches!(frame, Frame::Close(_));
                wire.unflushed.push(frame);
            }
            Ok(())
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.with(|state, id| {
            let now = state.now;
            let Some(wire) = state.wires.get_mut(&id) else { return Poll::Ready(Err(io("gone"))) };
            std::task::ready!(writable(wire, now, cx))?;
            let frames = std::mem::take(&mut wire.unflushed);
            if frames.is_empty() {
                return Poll::Ready(Ok(()));
            }
            for frame in frames {
                let latency = state.latency();
                let Some(wire) = state.wires.get_mut(&id) else { break };
                let arrival = wire.to_server.push(now.saturating_add(latency), Unit::Frame(frame));
                state.plan(arrival, Happening::ToServer(id));
            }
            state.record(&Entry::Flushed { id });
            Poll::Ready(Ok(()))
        })
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.poll_flush(cx)
    }
}
