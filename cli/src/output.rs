//! Standard output: whole lines, at the latest some milliseconds after the first of them.
//!
//! A thread writes, so that a slow reader holds up nothing but the feed (D4). It knows how much the system has taken: what was
//! not written when the command must end can be said.

#[cfg(not(unix))]
#[path = "output/portable.rs"]
mod thread;
#[cfg(unix)]
#[path = "output/unix.rs"]
mod thread;

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::status::StatusLine;
use thread::Requests;

/// Long enough to gather a burst, too short for a person to notice.
const LINGER: Duration = Duration::from_millis(10);
/// A write this large is worth its system call.
const ENOUGH: usize = 64 * 1024;
/// How long the thread has to stop. It is stuck in a write if that is not enough.
const STOP: Duration = Duration::from_millis(200);

/// The asynchronous side of standard output.
pub(crate) struct Output {
    buffer: Vec<u8>,
    /// When the oldest line in the buffer must be out.
    due: Instant,
    /// What the thread is writing.
    handed_over: Arc<Vec<u8>>,
    /// Bytes handed over so far.
    total: u64,
    requests: Requests,
    progress: watch::Receiver<Progress>,
}

/// How far the thread has got.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// Bytes that the system has taken so far.
    written: u64,
    /// Why it writes no more.
    end: Option<End>,
}

/// Why standard output takes no more.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// Its reader is gone.
    Closed,
    /// It cannot be written, for this reason.
    Failed(String),
}

/// Lines and items still to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unwritten {
    lines: usize,
    bytes: usize,
    /// Part of a line has been written.
    torn: bool,
    /// Items that were not made lines yet.
    items: u64,
}

impl Output {
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn start(status: StatusLine) -> io::Result<Self> {
        let (sender, progress) = watch::channel(Progress::default());
        let requests = thread::start(status, sender)?;
        let buffer = Vec::with_capacity(ENOUGH);
        Ok(Self { buffer, due: Instant::now(), handed_over: Arc::default(), total: 0, requests, progress })
    }

    /// The buffer to append whole lines to.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.buffer.is_empty() {
            self.due = Instant::now() + LINGER;
        }
        &mut self.buffer
    }

    /// Whether it is time to [`flush`](Self::flush).
    pub(crate) fn is_due(&self) -> bool {
        self.buffer.len() >= ENOUGH || self.due().is_some_and(|due| due <= Instant::now())
    }

    /// When to [`flush`](Self::flush) at the latest, if there is anything.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.buffer.is_empty()).then_some(self.due)
    }

    /// Waits until all is written. If the future is dropped, the thread continues: [`stop`](Self::stop) is next.
    pub(crate) async fn flush(&mut self) -> Result<(), End> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.handed_over = Arc::new(mem::take(&mut self.buffer));
        self.total += self.handed_over.len() as u64;
        self.requests.send(Arc::clone(&self.handed_over));
        let total = self.total;
        let done = self.progress.wait_for(|now| now.end.is_some() || now.written == total).await;
        match done.map(|now| now.end.clone()) {
            Ok(None) => self.take_back(),
            Ok(Some(end)) => return Err(end),
            Err(_) => return Err(End::Failed("its thread has panicked: please report it".to_owned())),
        }
        Ok(())
    }

    /// Waits until standard output takes no more, whether there is something to write or not.
    pub(crate) fn ended(&self) -> impl Future<Output = End> + use<> {
        let mut progress = self.progress.clone();
        async move {
            match progress.wait_for(|now| now.end.is_some()).await.map(|now| now.end.clone()) {
                Ok(Some(end)) => end,
                Ok(None) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// Stops the thread where it is, and returns what is left, with these `items` that were not made lines yet.
    pub(crate) async fn stop(self, items: u64) -> Unwritten {
        let Self { buffer, handed_over, total, requests, mut progress, .. } = self;
        drop(requests);
        // The thread's end closes the channel.
        let _ = timeout(STOP, async { while progress.changed().await.is_ok() {} }).await;
        let left = usize::try_from(total - progress.borrow().written).expect("it is in memory");
        let (written, rest) = handed_over.split_at(handed_over.len() - left.min(handed_over.len()));
        let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
        Unwritten {
            lines: lines(rest) + lines(&buffer),
            bytes: rest.len() + buffer.len(),
            torn: !rest.is_empty() && written.last().is_some_and(|last| *last != b'\n'),
            items,
        }
    }

    /// Uses the memory of what has been written again.
    fn take_back(&mut self) {
        // The thread lets go of it before it says that it is written.
        if let Some(mut buffer) = Arc::into_inner(mem::take(&mut self.handed_over)) {
            buffer.clear();
            // One huge burst must not be paid for to the end.
            buffer.shrink_to(4 * ENOUGH);
            self.buffer = buffer;
        }
    }
}

impl Unwritten {
    pub(crate) const fn is_nothing(&self) -> bool {
        self.bytes == 0 && self.items == 0
    }
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, bytes, torn, items } = self;
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        write!(f, "not written: {lines} line{} ({bytes} bytes)", plural(*lines as u64))?;
        if *items > 0 {
            write!(f, " and {items} more item{}", plural(*items))?;
        }
        if *torn {
            f.write_str("; the last line written is incomplete")?;
        }
        Ok(())
    }
}

/// The start of `rest` to write at a time. No larger than what a pipe takes whole or not at all, and whole lines of it if
/// they are not longer than that: so a line is cut only if it is long, or by the system.
fn piece(rest: &[u8], limit: usize) -> &[u8] {
    let Some(most) = rest.get(..limit) else { return rest };
    match most.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => &most[..=at],
        None => most,
    }
}
