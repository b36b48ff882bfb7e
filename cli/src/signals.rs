//! SIGINT and SIGTERM, on Windows Ctrl-C and Ctrl-Break: a clean end, within reason.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

/// How long a clean end may take after a signal: the closing handshake, and what is still to be written.
pub(crate) const GRACE: Duration = Duration::from_secs(3);
/// How long the last words may take after that: nobody may be reading standard error.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Received from the moment this is made: make it before anything else.
///
/// Nothing that may block runs where signals are waited for. So a signal ends the command whatever else is stuck: the opening
/// of a FIFO, a write to a full pipe or a stopped terminal.
pub(crate) struct Signals {
    interrupt: platform::Interrupt,
    terminate: platform::Terminate,
    /// When the command has to be over, from the first signal on.
    due: Option<Instant>,
}

impl Signals {
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self { interrupt: platform::interrupt()?, terminate: platform::terminate()?, due: None })
    }

    /// Runs `work`; at a signal drops it.
    pub(crate) async fn cut<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        if self.due.is_some() {
            return None;
        }
        tokio::select! {
            biased;
            done = work => return Some(done),
            () = self.recv() => {}
        }
        self.due = Some(Instant::now());
        None
    }

    /// Runs `work`; at the first signal calls `ask`, and drops the work [`GRACE`] after it, or at a second signal.
    pub(crate) async fn stop<T>(&mut self, work: impl Future<Output = T>, ask: impl FnOnce()) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.overdue(ask) => None,
        }
    }

    /// Runs what comes last: at a signal, or some time after one, drops it.
    pub(crate) async fn last_words<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        if let Some(done) = self.cut(&mut work).await {
            return Some(done);
        }
        let due = self.due.unwrap_or_else(Instant::now);
        tokio::select! {
            biased;
            done = timeout_at(due + LAST_WORDS, work) => done.ok(),
            () = self.recv() => None,
        }
    }

    async fn overdue(&mut self, ask: impl FnOnce()) {
        let due = match self.due {
            Some(due) => due,
            None => {
                self.recv().await;
                ask();
                *self.due.insert(Instant::now() + GRACE)
            }
        };
        tokio::select! {
            () = sleep_until(due) => {}
            () = self.recv() => self.due = Some(Instant::now()),
        }
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(unix)]
mod platform {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(super) type Interrupt = Signal;
    pub(super) type Terminate = Signal;

    pub(super) fn interrupt() -> io::Result<Interrupt> {
        signal(SignalKind::interrupt())
    }

    pub(super) fn terminate() -> io::Result<Terminate> {
        signal(SignalKind::terminate())
    }
}

#[cfg(windows)]
mod platform {
    pub(super) use tokio::signal::windows::{
        CtrlBreak as Terminate, CtrlC as Interrupt, ctrl_break as terminate, ctrl_c as interrupt,
    };
}
