//! Attempts and connections: dialing, reading, writing and flushing.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tidegate_core::{Connected, ConnectionId, Failure, Frame, FrameHandler, Machine, Timestamp};

use crate::resolve::Resolving;
use crate::runtime::{Runtime, Transport};
use crate::secrets::Secrets;

/// Attempts and connections, oldest first. Currently at most one (C1).
pub(crate) struct Links<T>(Vec<(ConnectionId, Link<T>)>);

impl<T: Transport> Links<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Starts an attempt.
    pub(crate) fn begin(&mut self, id: ConnectionId, request: Resolving) {
        self.0.push((id, Link::Resolving(request)));
    }

    /// Drops an attempt or connection.
    pub(crate) fn remove(&mut self, id: ConnectionId) {
        self.0.retain(|(other, _)| *other != id);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the id of the first link, or of the one after `after`. Ids strictly increase.
    pub(crate) fn next(&self, after: Option<ConnectionId>) -> Option<ConnectionId> {
        self.0.iter().map(|(id, _)| *id).find(|id| after.is_none_or(|after| *id > after))
    }

    #[inline]
    pub(crate) fn get(&mut self, id: ConnectionId) -> Option<&mut Link<T>> {
        self.0.iter_mut().find_map(|(other, link)| (*other == id).then_some(link))
    }

    /// Returns the connection with this id, if it is open.
    #[inline]
    pub(crate) fn open(&mut self, id: ConnectionId) -> Option<&mut Connection<T>> {
        self.get(id).and_then(Link::open)
    }

    /// Returns all open connections.
    pub(crate) fn all_open(&mut self) -> impl Iterator<Item = (ConnectionId, &mut Connection<T>)> {
        self.0.iter_mut().filter_map(|(id, link)| Some((*id, link.open()?)))
    }
}

/// An attempt, or the connection that it became.
pub(crate) enum Link<T> {
    Resolving(Resolving),
    Connecting { secrets: Secrets, transport: Connecting<T> },
    Open(Connection<T>),
}

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

impl<T: Transport> Link<T> {
    /// Drives an attempt. Ready once the connection is open, or the attempt has failed.
    pub(crate) fn poll_dial<R>(
        &mut self,
        id: ConnectionId,
        runtime: &R,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>>
    where
        R: Runtime<Transport = T>,
    {
        if let Self::Resolving(request) = self {
            let request = ready!(request.as_mut().poll(cx))?;
            tracing::debug!(connection = id.get(), url = request.redacted(), "dialing");
            let secrets = Secrets::of(&request);
            *self = Self::Connecting { secrets, transport: Box::pin(runtime.connect(request)) };
        }
        if let Self::Connecting { secrets, transport } = self {
            let transport = ready!(transport.as_mut().poll(cx))?;
            *self = Self::Open(Connection::new(transport, std::mem::take(secrets)));
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) const fn open(&mut self) -> Option<&mut Connection<T>> {
        match self {
            Self::Open(connection) => Some(connection),
            Self::Resolving(_) | Self::Connecting { .. } => None,
        }
    }
}

/// An open connection.
pub(crate) struct Connection<T> {
    transport: T,
    written: Written,
    secrets: Secrets,
    /// Number of bytes that the transport had received at the last check.
    bytes_read: u64,
    /// Time at which bytes of an unfinished frame last arrived.
    heard: Timestamp,
    /// Whether the transport may have more to read. Set at the start of each poll.
    pub(crate) readable: bool,
}

/// Maximum number of frames read from a connection that can no longer be written to. Buffers on the way hold about this
/// much, and the peer may never fall silent.
const FRAMES_AFTER_FAILURE: usize = 4096;

/// Whether all frames written are with the operating system.
enum Written {
    Flushed,
    Unflushed,
    /// Writing has failed.
    Failed {
        failure: Failure,
        frames_left: usize,
    },
}

impl<T: Transport> Connection<T> {
    fn new(transport: T, secrets: Secrets) -> Self {
        Self {
            transport,
            written: Written::Flushed,
            secrets,
            bytes_read: 0,
            heard: Timestamp::ZERO,
            readable: true,
        }
    }

    /// Returns facts about the connection.
    pub(crate) fn connected(&mut self) -> Connected {
        self.transport.connected()
    }

    /// Handles a control frame that was read.
    #[cold]
    pub(crate) fn control(&mut self, frame: &mut Frame) {
        match (frame, &self.written) {
            // The reason is shown to people, and may repeat the request's secrets (T3).
            (Frame::Close(Some(close)), _) => close.reason = self.secrets.hidden_in(&close.reason),
            // The answer waits in the transport for the next read, which may be much later (O2).
            (Frame::Ping(_), Written::Flushed) => self.written = Written::Unflushed,
            (Frame::Message(_) | Frame::Ping(_) | Frame::Pong(_) | Frame::Close(None), _) => {}
        }
    }

    /// Notes that writing has failed. Frames that have arrived, such as a Close with the reason, can still be read.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.written = Written::Failed { failure, frames_left: FRAMES_AFTER_FAILURE };
        self.readable = true;
    }

    /// Returns why writing has failed, if it has.
    pub(crate) const fn failed(&self) -> Option<&Failure> {
        match &self.written {
            Written::Failed { failure, .. } => Some(failure),
            Written::Flushed | Written::Unflushed => None,
        }
    }

    /// Notes that all bytes so far belong to frames that were read, or arrived with them. Called once for many frames
    /// (L6).
    pub(crate) fn frames_read(&mut self) {
        self.bytes_read = self.transport.bytes_read();
    }

    /// Notes that no whole frame has arrived: new bytes are part of an unfinished one.
    pub(crate) fn read_partial(&mut self, now: Timestamp) {
        let bytes = self.transport.bytes_read();
        if bytes != self.bytes_read {
            self.heard = now;
        }
        self.bytes_read = bytes;
    }

    /// Returns when bytes of an unfinished frame last arrived.
    pub(crate) const fn heard(&self) -> Timestamp {
        self.heard
    }

    /// Writes the machine's frames for this connection, and flushes them. Ready once all are with the operating system.
    /// Returns `None` if there was nothing to write.
    pub(crate) fn poll_write<H: FrameHandler>(
        &mut self,
        id: ConnectionId,
        machine: &mut Machine<H>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(), Failure>>> {
        match self.written {
            Written::Flushed if !machine.wants_to_send(id) => Poll::Ready(None),
            Written::Failed { .. } => Poll::Ready(None),
            Written::Flushed | Written::Unflushed => self.poll_flush(id, machine, cx).map(Some),
        }
    }

    fn poll_flush<H: FrameHandler>(
        &mut self,
        id: ConnectionId,
        machine: &mut Machine<H>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        let mut transport = Pin::new(&mut self.transport);
        while machine.wants_to_send(id) {
            ready!(transport.as_mut().poll_ready(cx))?;
            if let Some(frame) = machine.poll_send(id) {
                self.written = Written::Unflushed;
                transport.as_mut().start_send(frame)?;
            }
        }
        ready!(transport.poll_flush(cx))?;
        self.written = Written::Flushed;
        Poll::Ready(Ok(()))
    }

    /// Returns the next frame.
    #[inline]
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Failure>>> {
        if let Written::Failed { .. } = self.written {
            return self.poll_rest(cx);
        }
        Pin::new(&mut self.transport).poll_next(cx)
    }

    /// Returns the frames that have arrived before a failed write, then its failure. The engine decides when to stop
    /// waiting for more.
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
