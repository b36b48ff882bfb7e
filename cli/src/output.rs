//! Standard output: whole buffers, at the latest some milliseconds after the first line in them.

use std::io::{self, Write as _};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use crate::status::StatusLine;

/// Long enough to gather what comes in a burst, too short for a person to notice.
const LINGER: Duration = Duration::from_millis(10);
/// A write this large is worth its system call.
const ENOUGH: usize = 64 * 1024;

pub(crate) struct Output {
    stdout: tokio::io::Stdout,
    buffer: Vec<u8>,
    /// When the oldest line in the buffer must be out.
    due: Instant,
    status: StatusLine,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is with the operating system.
    Out,
    /// Nobody reads any more.
    Closed,
}

impl Output {
    pub(crate) fn new(status: StatusLine) -> Self {
        Self { stdout: tokio::io::stdout(), buffer: Vec::with_capacity(ENOUGH), due: Instant::now(), status }
    }

    /// Where to append lines; call [`Self::gathered`] after that.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.buffer.is_empty() {
            self.due = Instant::now() + LINGER;
        }
        &mut self.buffer
    }

    /// Whether there is enough to write at once.
    pub(crate) fn has_enough(&self) -> bool {
        self.buffer.len() >= ENOUGH
    }

    /// When to [`flush`](Self::flush) at the latest, if there is anything.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.buffer.is_empty()).then_some(self.due)
    }

    pub(crate) async fn flush(&mut self) -> io::Result<Written> {
        if self.buffer.is_empty() {
            return Ok(Written::Out);
        }
        let written = if self.status.shares_terminal() {
            self.status.suspend(|| write_terminal(&self.buffer))
        } else {
            write(&mut self.stdout, &self.buffer).await
        };
        self.buffer.clear();
        // One huge burst must not be paid for to the end.
        self.buffer.shrink_to(4 * ENOUGH);
        match written {
            Ok(()) => Ok(Written::Out),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Written::Closed),
            Err(error) => Err(error),
        }
    }
}

/// May wait for a reader as long as it takes: the rest of the program goes on.
async fn write(stdout: &mut tokio::io::Stdout, bytes: &[u8]) -> io::Result<()> {
    stdout.write_all(bytes).await?;
    stdout.flush().await
}

fn write_terminal(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
