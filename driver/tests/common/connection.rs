//! One connection: the feed's end of it, and the test's.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures_core::Stream;
use futures_sink::Sink;
use tidegate_driver::Transport;
use tidegate_driver::core::{Failure, Frame};

use super::{items, text};

#[derive(Default)]
struct MockConnection {
    inbound: VecDeque<Result<Frame, Failure>>,
    /// Arrived, but the runtime has not looked at the socket.
    unseen: VecDeque<Result<Frame, Failure>>,
    bytes_read: u64,
    ended: bool,
    shut: Option<Gate>,
    broken: Option<Failure>,
    written: Vec<Frame>,
    flushed: usize,
    pongs_owed: usize,
    counts: Counts,
    dropped: bool,
    waker: Option<Waker>,
}

/// Counts of the feed's calls on a connection.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Frames read.
    pub(crate) reads: usize,
    /// Calls to flush.
    pub(crate) flushes: usize,
    /// Pings answered, with the answers flushed.
    pub(crate) pongs: usize,
}

/// Where outgoing frames are held up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Before they are written.
    Write,
    /// Before they are flushed.
    Flush,
}

/// The test's end of a connection. Clones are the same connection.
#[derive(Clone, Default)]
pub(crate) struct Peer(Arc<Mutex<MockConnection>>);

impl Peer {
    pub(crate) fn send(&self, frame: Frame) {
        self.change(|connection| connection.inbound.push_back(Ok(frame)));
    }

    /// A frame arrives, but the runtime still answers from what it knew of the socket.
    pub(crate) fn send_unseen(&self, frame: Frame) {
        self.lock().unseen.push_back(Ok(frame));
    }

    /// The runtime looks at the socket, as it does before a timer rings.
    pub(crate) fn look_at_socket(&self) {
        self.change(|connection| connection.inbound.append(&mut connection.unseen));
    }

    /// Bytes of an unfinished frame.
    pub(crate) fn send_bytes(&self, bytes: u64) {
        self.change(|connection| connection.bytes_read += bytes);
    }

    /// Text messages, `item 0` and so on.
    pub(crate) fn send_items(&self, numbers: Range<usize>) {
        items(numbers).iter().for_each(|item| self.send(text(item)));
    }

    /// The connection breaks, after what has been sent.
    pub(crate) fn fail(&self, failure: Failure) {
        self.change(|connection| connection.inbound.push_back(Err(failure)));
    }

    /// The stream ends, after what has been sent.
    pub(crate) fn end(&self) {
        self.change(|connection| connection.ended = true);
    }

    /// From now on every write and flush fails.
    pub(crate) fn break_writing(&self, failure: Failure) {
        self.change(|connection| connection.broken = Some(failure));
    }

    pub(crate) fn shut(&self, gate: Gate) {
        self.change(|connection| connection.shut = Some(gate));
    }

    pub(crate) fn open(&self) {
        self.change(|connection| connection.shut = None);
    }

    /// Frames that were written and flushed.
    pub(crate) fn received(&self) -> Vec<Frame> {
        let connection = self.lock();
        connection.written[..connection.flushed].to_vec()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Whether the feed still holds its end.
    pub(crate) fn is_open(&self) -> bool {
        !self.lock().dropped
    }

    fn change(&self, change: impl FnOnce(&mut MockConnection)) {
        let mut connection = self.lock();
        change(&mut connection);
        if let Some(waker) = connection.waker.take() {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, MockConnection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The feed's end of a connection.
pub(crate) struct MockTransport(pub(super) Peer);

impl MockTransport {
    fn poll_gate(&self, gate: Gate, cx: &Context<'_>) -> Poll<Result<(), Failure>> {
        let mut connection = self.0.lock();
        if let Some(failure) = &connection.broken {
            return Poll::Ready(Err(failure.clone()));
        }
        if connection.shut == Some(gate) {
            connection.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for MockTransport {
    fn drop(&mut self) {
        self.0.lock().dropped = true;
    }
}

impl Stream for MockTransport {
    type Item = Result<Frame, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut connection = self.0.lock();
        match connection.inbound.pop_front() {
            Some(frame) => {
                connection.counts.reads += 1;
                connection.pongs_owed += usize::from(matches!(frame, Ok(Frame::Ping(_))));
                Poll::Ready(Some(frame))
            }
            None if connection.ended => Poll::Ready(None),
            None => {
                connection.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Transport for MockTransport {
    fn bytes_read(&self) -> u64 {
        self.0.lock().bytes_read
    }
}

impl Sink<Frame> for MockTransport {
    type Error = Failure;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.poll_gate(Gate::Write, cx)
    }

    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<(), Failure> {
        let mut connection = self.0.lock();
        assert!(!matches!(connection.written.last(), Some(Frame::Close(_))), "nothing follows Close");
        connection.written.push(frame);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.0.lock().counts.flushes += 1;
        ready!(self.poll_gate(Gate::Flush, cx))?;
        let connection = &mut *self.0.lock();
        connection.flushed = connection.written.len();
        connection.counts.pongs += std::mem::take(&mut connection.pongs_owed);
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.poll_flush(cx)
    }
}
