//! Writing: frames and the newest pong, by way of tungstenite's buffer.

use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use tidegate_core::{ConnectionFailure, Failure, Frame};
use tungstenite::Error;

use super::Frames;
use crate::net::blocking::{Nowhere, Polled, poll};
use crate::net::failure;
use crate::net::message::sent;

/// State of the frames that tungstenite has buffered for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// Nothing.
    Flushed,
    /// Something, and there is room for another frame.
    Unflushed,
    /// Enough: all of it goes out before the next frame.
    Full,
}

/// How far the closing handshake is (RFC 6455 §7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// Not begun.
    None,
    /// Our Close is sent, or waits to be.
    Sent,
    /// The peer's Close is here, and the answer waits if it came first. Nothing that goes wrong from now on matters.
    Received,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match self.writing {
            Writing::Flushed | Writing::Unflushed => Poll::Ready(Ok(())),
            Writing::Full => self.poll_flush(cx),
        }
    }

    pub(super) fn start_send(&mut self, frame: Frame) -> Result<(), Failure> {
        let is_close = matches!(frame, Frame::Close(_));
        match self.close {
            Close::None if is_close => self.close = Close::Sent,
            Close::None => {}
            // The answer is queued, and the peer reads nothing behind it.
            Close::Received => return Ok(()),
            Close::Sent if is_close => return Ok(()),
            Close::Sent => {
                let detail = "a frame was sent after Close".to_owned();
                return Err(Failure::Connection(ConnectionFailure::Io { detail }));
            }
        }
        self.buffer_frame(frame)
    }

    /// Queues a frame behind those before it.
    pub(super) fn buffer_frame(&mut self, frame: Frame) -> Result<(), Failure> {
        self.writing = match poll(self.context.write(&mut Nowhere, sent(frame))) {
            Poll::Ready(result) => result.map(|()| Writing::Unflushed).map_err(failure::of_write)?,
            // It is queued, and the buffer is large by now.
            Poll::Pending => Writing::Full,
        };
        Ok(())
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            let mut socket = Polled { socket: &mut self.socket, buffer: &mut self.buffer, cx, left: 0 };
            let flushed = ready!(poll(self.context.flush(&mut socket)));
            self.writing = Writing::Flushed;
            let pong = self.pong.take();
            self.written(flushed)?;
            // Only now, so that one pong waits at most, however many pings come (O2).
            let Some(pong) = pong.filter(|_| self.close == Close::None) else { return Poll::Ready(Ok(())) };
            self.buffer_frame(Frame::Pong(pong))?;
        }
    }

    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.close == Close::None {
            self.start_send(Frame::Close(None))?;
        }
        self.poll_flush(cx)
    }

    /// Once the peer has sent Close it need not wait for our answer: that it cannot be written is no failure.
    fn written(&self, result: tungstenite::Result<()>) -> Result<(), Failure> {
        match (self.close, result) {
            (Close::Received, _) | (_, Ok(()) | Err(Error::ConnectionClosed)) => Ok(()),
            (Close::None | Close::Sent, Err(error)) => Err(failure::of_write(error)),
        }
    }
}
