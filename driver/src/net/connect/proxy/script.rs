//! A scripted peer over a stream in memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

/// One step of the peer.
#[derive(Clone)]
pub(super) enum PeerStep {
    /// Expects exactly these bytes, flushed.
    Hears(Vec<u8>),
    /// Sends these bytes.
    Says(Vec<u8>),
}

pub(super) fn hears(bytes: impl AsRef<[u8]>) -> PeerStep {
    PeerStep::Hears(bytes.as_ref().to_vec())
}

pub(super) fn says(bytes: impl AsRef<[u8]>) -> PeerStep {
    PeerStep::Says(bytes.as_ref().to_vec())
}

/// The other end of the peer's stream. The peer closes it when the script is done.
pub(super) struct ScriptedPeer {
    steps: VecDeque<PeerStep>,
    /// Maximum number of bytes of one read or write.
    chunk: usize,
    /// Written and not yet flushed.
    pending: Vec<u8>,
    /// Whether the next call completes. Every other one has to wait.
    ready: bool,
}

impl ScriptedPeer {
    pub(super) fn new(steps: &[PeerStep], chunk: usize) -> Self {
        Self { steps: steps.iter().cloned().collect(), chunk, pending: Vec::new(), ready: false }
    }

    fn poll_every_other(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.ready = !self.ready;
        if self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl AsyncRead for ScriptedPeer {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        std::task::ready!(this.poll_every_other(cx));
        let len = match this.steps.front_mut() {
            Some(PeerStep::Says(bytes)) => {
                let len = buf.len().min(bytes.len()).min(this.chunk);
                buf[..len].copy_from_slice(&bytes[..len]);
                bytes.drain(..len);
                if bytes.is_empty() {
                    this.steps.pop_front();
                }
                len
            }
            Some(PeerStep::Hears(bytes)) => {
                panic!("both wait: the peer for {:?}", String::from_utf8_lossy(bytes))
            }
            None => 0,
        };
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for ScriptedPeer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        std::task::ready!(this.poll_every_other(cx));
        let len = bytes.len().min(this.chunk);
        this.pending.extend_from_slice(&bytes[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.pending.is_empty() {
            let Some(PeerStep::Hears(expected)) = this.steps.front_mut() else {
                // The peer has closed the connection, or sends before its turn.
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            let len = expected.len().min(this.pending.len());
            assert_eq!(
                String::from_utf8_lossy(&this.pending[..len]),
                String::from_utf8_lossy(&expected[..len])
            );
            this.pending.drain(..len);
            expected.drain(..len);
            if expected.is_empty() {
                this.steps.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
