//! The one attempt or connection there is: dialing, writing, flushing, reading.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tidegate_core::{ConnectionId, Failure, Feed, Frame, FrameHandler, Timestamp};

use crate::request::ConnectRequest;
use crate::resolve::Resolving;
use crate::runtime::{Runtime, Transport};
use crate::secrets::Secrets;

/// What the loop holds of the network.
pub(crate) enum Link<T> {
    Down,
    Resolving { id: ConnectionId, request: Resolving },
    Connecting { id: ConnectionId, secrets: Secrets, transport: Connecting<T> },
    Up { id: ConnectionId, line: Line<T> },
}

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

impl<T: Transport> Link<T> {
    pub(crate) const fn id(&self) -> Option<ConnectionId> {
        match self {
            Self::Down => None,
            Self::Resolving { id, .. } | Self::Connecting { id, .. } | Self::Up { id, .. } => Some(*id),
        }
    }

    /// Drives an attempt. Ready when it has come to an end, good or bad.
    pub(crate) fn poll_dial<R>(&mut self, runtime: &R, cx: &mut Context<'_>) -> Poll<Dialed>
    where
        R: Runtime<Transport = T>,
    {
        if let Self::Resolving { id, request } = self {
            let id = *id;
            match ready!(request.as_mut().poll(cx)) {
                Ok(request) => {
                    announce(id, &request);
                    let secrets = Secrets::of(&request);
                    *self = Self::Connecting { id, secrets, transport: Box::pin(runtime.connect(request)) };
                }
                Err(failure) => return Poll::Ready(self.dialing_failed(id, failure)),
            }
        }
        let Self::Connecting { id, secrets, transport } = self else { return Poll::Pending };
        let id = *id;
        Poll::Ready(match ready!(transport.as_mut().poll(cx)) {
            Ok(transport) => {
                *self = Self::Up { id, line: Line::new(transport, std::mem::take(secrets)) };
                Dialed::Connected(id)
            }
            Err(failure) => self.dialing_failed(id, failure),
        })
    }

    fn dialing_failed(&mut self, id: ConnectionId, failure: Failure) -> Dialed {
        *self = Self::Down;
        Dialed::Failed(id, failure)
    }
}

/// How an attempt ended.
pub(crate) enum Dialed {
    Connected(ConnectionId),
    Failed(ConnectionId, Failure),
}

fn announce(id: ConnectionId, request: &ConnectRequest) {
    tracing::debug!(connection = id.get(), url = request.redacted(), "dialing");
}

/// An open connection.
pub(crate) struct Line<T> {
    transport: T,
    written: Written,
    secrets: Secrets,
    /// Bytes that the transport had read at the last look.
    bytes_read: u64,
    /// When bytes of an unfinished frame last arrived.
    heard: Timestamp,
}

/// Frames read at most from a connection that cannot be written to any more: about what buffers on the way hold, and
/// an end to it should the peer never fall silent.
const FRAMES_AFTER_FAILURE: usize = 4096;

/// Whether all that was written is with the operating system.
enum Written {
    Flushed,
    Unflushed,
    /// Nothing can be written any more.
    Failed {
        failure: Failure,
        frames_left: usize,
    },
}

impl<T: Transport> Line<T> {
    fn new(transport: T, secrets: Secrets) -> Self {
        Self { transport, written: Written::Flushed, secrets, bytes_read: 0, heard: Timestamp::ZERO }
    }

    /// A control frame was read.
    #[cold]
    pub(crate) fn control(&mut self, frame: &mut Frame) {
        match (frame, &self.written) {
            // The reason is shown, and may repeat what the request held (T3).
            (Frame::Close(Some(close)), _) => close.reason = self.secrets.hidden_in(&close.reason),
            // Its answer waits in the transport for the next read, which may be long in coming (O2).
            (Frame::Ping(_), Written::Flushed) => self.written = Written::Unflushed,
            (Frame::Message(_) | Frame::Ping(_) | Frame::Pong(_) | Frame::Close(None), _) => {}
        }
    }

    /// Writing has failed. Frames that had arrived before, such as a Close that says why, can still be read.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.written = Written::Failed { failure, frames_left: FRAMES_AFTER_FAILURE };
    }

    /// Why nothing can be written any more, once that is so.
    pub(crate) const fn failed(&self) -> Option<&Failure> {
        match &self.written {
            Written::Failed { failure, .. } => Some(failure),
            Written::Flushed | Written::Unflushed => None,
        }
    }

    /// All bytes so far belong to frames that were read, or came with them. Called once for many frames (L6).
    pub(crate) fn frames_read(&mut self) {
        self.bytes_read = self.transport.bytes_read();
    }

    /// No frame has arrived by `now`: bytes that have are part of a longer one.
    pub(crate) fn read_dry(&mut self, now: Timestamp) {
        let bytes = self.transport.bytes_read();
        if bytes != self.bytes_read {
            self.heard = now;
        }
        self.bytes_read = bytes;
    }

    /// When bytes of a frame that was not whole were last read.
    pub(crate) const fn heard(&self) -> Timestamp {
        self.heard
    }

    /// Writes what `feed` has for this connection, and flushes it. Ready when all of it is with the operating system; `None` if
    /// there was nothing to do.
    pub(crate) fn poll_write<H: FrameHandler>(
        &mut self,
        id: ConnectionId,
        feed: &mut Feed<H>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(), Failure>>> {
        match self.written {
            Written::Flushed if !feed.wants_to_send() => Poll::Ready(None),
            Written::Failed { .. } => Poll::Ready(None),
            Written::Flushed | Written::Unflushed => self.poll_flush(id, feed, cx).map(Some),
        }
    }

    fn poll_flush<H: FrameHandler>(
        &mut self,
        id: ConnectionId,
        feed: &mut Feed<H>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        let mut transport = Pin::new(&mut self.transport);
        while feed.wants_to_send() {
            ready!(transport.as_mut().poll_ready(cx))?;
            // What was accepted on one connection is never sent on another (O1).
            if let Some((to, frame)) = feed.poll_send()
                && to == id
            {
                self.written = Written::Unflushed;
                transport.as_mut().start_send(frame)?;
            }
        }
        ready!(transport.poll_flush(cx))?;
        self.written = Written::Flushed;
        Poll::Ready(Ok(()))
    }

    /// The next frame, as the transport gives it.
    #[inline]
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Failure>>> {
        if let Written::Failed { .. } = self.written {
            return self.poll_rest(cx);
        }
        Pin::new(&mut self.transport).poll_next(cx)
    }

    /// After a failed write: the frames that have arrived, then that failure. The engine decides when nothing more arrives.
    #[cold]
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Failure>>> {
        let read = ready!(Pin::new(&mut self.transport).poll_next(cx));
        let Written::Failed { failure, frames_left } = &mut self.written else { return Poll::Ready(read) };
        Poll::Ready(Some(match read {
            Some(Ok(frame)) if *frames_left > 0 => {
                *frames_left -= 1;
                Ok(frame)
            }
            Some(Ok(_) | Err(_)) | None => Err(failure.clone()),
        }))
    }
}
