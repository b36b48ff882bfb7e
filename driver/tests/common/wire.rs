//! One connection: the feed's end of it, and the test's.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use futures_sink::Sink;
use tidegate_driver::core::{Failure, Frame};

use super::text;
use super::world::World;

#[derive(Default)]
pub(crate) struct Wire {
    inbound: VecDeque<Result<Frame, Failure>>,
    /// In the socket, though the runtime has not looked.
    unseen: VecDeque<Result<Frame, Failure>>,
    bytes_read: u64,
    ended: bool,
    shut: Option<Gate>,
    broken: Option<Failure>,
    written: Vec<Frame>,
    flushed: usize,
    pongs_owed: usize,
    pongs: usize,
    reads: usize,
    read_polls: usize,
    flushes: usize,
    dropped: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Where frames on their way out are held up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Before they are written.
    Write,
    /// Before they are flushed.
    Flush,
}

/// The test's end of a connection.
pub(crate) struct Peer {
    world: World,
    index: usize,
}

impl Peer {
    pub(crate) const fn new(world: World, index: usize) -> Self {
        Self { world, index }
    }

    pub(crate) fn send(&self, frame: Frame) {
        self.change(|wire| wire.inbound.push_back(Ok(frame)));
    }

    /// A frame arrives, and the runtime does not know yet: it answers from what it knew of the socket.
    pub(crate) fn send_unseen(&self, frame: Frame) {
        self.world.shared().wires[self.index].unseen.push_back(Ok(frame));
    }

    /// The runtime looks at the socket, as it does before it lets a timer ring.
    pub(crate) fn look_at_socket(&self) {
        self.change(|wire| wire.inbound.append(&mut wire.unseen));
    }

    /// Bytes of a frame that is not whole.
    pub(crate) fn send_bytes(&self, bytes: u64) {
        self.change(|wire| wire.bytes_read += bytes);
    }

    /// Text messages, `item 0` and so on.
    pub(crate) fn send_items(&self, numbers: std::ops::Range<usize>) {
        let frames = numbers.map(|number| Ok(text(&format!("item {number}"))));
        self.change(|wire| wire.inbound.extend(frames));
    }

    /// The connection breaks, after what has been sent.
    pub(crate) fn fail(&self, failure: Failure) {
        self.change(|wire| wire.inbound.push_back(Err(failure)));
    }

    /// The stream ends, after what has been sent.
    pub(crate) fn end(&self) {
        self.change(|wire| wire.ended = true);
    }

    /// From now on every write and flush fails.
    pub(crate) fn break_writing(&self, failure: Failure) {
        self.change(|wire| wire.broken = Some(failure));
    }

    pub(crate) fn shut(&self, gate: Gate) {
        self.change(|wire| wire.shut = Some(gate));
    }

    pub(crate) fn open(&self) {
        self.change(|wire| wire.shut = None);
    }

    /// Frames that have arrived here: written and flushed.
    pub(crate) fn received(&self) -> Vec<Frame> {
        self.look(|wire| wire.written[..wire.flushed].to_vec())
    }

    /// Frames written, whether flushed or not.
    pub(crate) fn written(&self) -> usize {
        self.look(|wire| wire.written.len())
    }

    /// Pings of ours that were answered, the answers flushed.
    pub(crate) fn pongs(&self) -> usize {
        self.look(|wire| wire.pongs)
    }

    /// Frames of ours that the feed has read.
    pub(crate) fn reads(&self) -> usize {
        self.look(|wire| wire.reads)
    }

    pub(crate) fn read_polls(&self) -> usize {
        self.look(|wire| wire.read_polls)
    }

    pub(crate) fn flushes(&self) -> usize {
        self.look(|wire| wire.flushes)
    }

    /// Whether the feed still holds its end.
    pub(crate) fn is_open(&self) -> bool {
        self.look(|wire| !wire.dropped)
    }

    fn look<T>(&self, look: impl FnOnce(&Wire) -> T) -> T {
        look(&self.world.shared().wires[self.index])
    }

    fn change(&self, change: impl FnOnce(&mut Wire)) {
        let mut shared = self.world.shared();
        let wire = &mut shared.wires[self.index];
        change(wire);
        let wakers = [wire.reader.take(), wire.writer.take()];
        drop(shared);
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }
}

/// The feed's end of a connection.
pub(crate) struct MockTransport {
    world: World,
    index: usize,
}

impl MockTransport {
    pub(crate) fn open(world: World, shut: Option<Gate>) -> Self {
        let mut shared = world.shared();
        shared.wires.push(Wire { shut, ..Wire::default() });
        let index = shared.wires.len() - 1;
        drop(shared);
        Self { world, index }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Wire) -> T) -> T {
        work(&mut self.world.shared().wires[self.index])
    }

    /// Passes unless writing is broken or the gate is shut.
    fn poll_gate(&self, gate: Gate, cx: &Context<'_>) -> Poll<Result<(), Failure>> {
        self.with(|wire| {
            if let Some(failure) = &wire.broken {
                return Poll::Ready(Err(failure.clone()));
            }
            if wire.shut == Some(gate) {
                wire.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Ok(()))
        })
    }
}

impl Drop for MockTransport {
    fn drop(&mut self) {
        self.with(|wire| wire.dropped = true);
    }
}

impl Stream for MockTransport {
    type Item = Result<Frame, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.with(|wire| {
            wire.read_polls += 1;
            match wire.inbound.pop_front() {
                Some(frame) => {
                    wire.reads += 1;
                    wire.pongs_owed += usize::from(matches!(frame, Ok(Frame::Ping(_))));
                    Poll::Ready(Some(frame))
                }
                None if wire.ended => Poll::Ready(None),
                None => {
                    wire.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    }
}

impl tidegate_driver::Transport for MockTransport {
    fn bytes_read(&self) -> u64 {
        self.with(|wire| wire.bytes_read)
    }
}

impl Sink<Frame> for MockTransport {
    type Error = Failure;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.poll_gate(Gate::Write, cx)
    }

    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<(), Failure> {
        self.with(|wire| {
            assert!(!matches!(wire.written.last(), Some(Frame::Close(_))), "nothing follows Close");
            wire.written.push(frame);
        });
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.with(|wire| wire.flushes += 1);
        std::task::ready!(self.poll_gate(Gate::Flush, cx))?;
        self.with(|wire| {
            wire.flushed = wire.written.len();
            wire.pongs += std::mem::take(&mut wire.pongs_owed);
        });
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.poll_flush(cx)
    }
}
