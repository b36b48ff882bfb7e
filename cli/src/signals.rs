//! SIGINT and SIGTERM: a clean end, within reason.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

/// How long a clean end may take: the closing handshake, and what is still to be written.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// Received from the moment this is made: make it before anything else.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Runs `work`; at a signal asks it to end, and gives it some time. A second signal ends it at once.
    pub(crate) async fn stop(mut self, work: impl Future<Output = Exit>, ask: impl FnOnce()) -> Exit {
        let mut work = pin!(work);
        tokio::select! {
            exit = &mut work => return exit,
            () = self.recv() => ask(),
        }
        tokio::select! {
            exit = &mut work => exit,
            () = tokio::time::sleep(GRACE) => Exit::Finished,
            () = self.recv() => Exit::failed("interrupted twice: what was still to be written is lost"),
        }
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
