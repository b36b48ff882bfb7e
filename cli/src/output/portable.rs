//! The writing thread where there is no `poll`: it waits in `write`, and sees that the reader is gone when it writes.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::watch;

use super::{End, Progress, piece};
use crate::status::StatusLine;

/// Bytes written at a time.
const PIECE: usize = 4096;

/// Dropping it stops the thread once its write is done.
pub(super) struct Requests {
    buffers: Sender<Arc<Vec<u8>>>,
}

impl Requests {
    /// Hands over what to write next; what was handed over before has been written.
    pub(super) fn send(&mut self, bytes: Arc<Vec<u8>>) {
        // A thread that is gone has said why.
        let _ = self.buffers.send(bytes);
    }
}

pub(super) fn start(status: StatusLine, progress: watch::Sender<Progress>) -> io::Result<Requests> {
    let (buffers, incoming) = channel();
    let thread = std::thread::Builder::new().name("stdout".to_owned());
    thread.spawn(move || work(&incoming, &progress, &status))?;
    Ok(Requests { buffers })
}

fn work(incoming: &Receiver<Arc<Vec<u8>>>, progress: &watch::Sender<Progress>, status: &StatusLine) {
    while let Ok(bytes) = incoming.recv() {
        // All at once, else the status line would be drawn into a long line.
        let written = if status.shares_terminal() {
            status.suspend(|| write(&bytes, progress))
        } else {
            write(&bytes, progress)
        };
        // Before the other side looks: it uses the memory again.
        drop(bytes);
        let end = match written {
            Ok(()) => None,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Some(End::Closed),
            Err(error) => Some(End::Failed(error.to_string())),
        };
        let ended = end.is_some();
        progress.send_modify(|progress| progress.end = end);
        if ended {
            break;
        }
    }
}

fn write(bytes: &[u8], progress: &watch::Sender<Progress>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let mut rest = bytes;
    while !rest.is_empty() {
        let piece = piece(rest, PIECE);
        stdout.write_all(piece)?;
        stdout.flush()?;
        rest = &rest[piece.len()..];
        progress.send_if_modified(|progress| {
            progress.written += piece.len() as u64;
            false
        });
    }
    Ok(())
}
