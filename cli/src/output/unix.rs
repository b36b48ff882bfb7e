//! The writing thread, on Unix: it waits in `poll` and not in `write`, so that it sees the reader go while there is nothing to
//! write, and can stop while a full pipe takes nothing. Standard output that another program made non-blocking works as well.

use std::io::{self, PipeReader, PipeWriter, Read as _, Stdout, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::PIPE_BUF;
use tokio::sync::watch;

use super::{End, Progress, piece};
use crate::status::StatusLine;

/// Dropping it stops the thread, wherever it is.
pub(super) struct Requests {
    buffers: Sender<Arc<Vec<u8>>>,
    wake: PipeWriter,
}

impl Requests {
    /// Hands over what to write next; what was handed over before has been written.
    pub(super) fn send(&mut self, bytes: Arc<Vec<u8>>) {
        // A thread that is gone has said why.
        let _ = self.buffers.send(bytes);
        let _ = self.wake.write(&[0]);
    }
}

pub(super) fn start(status: StatusLine, progress: watch::Sender<Progress>) -> io::Result<Requests> {
    let (buffers, incoming) = channel();
    let (woken, wake) = io::pipe()?;
    let mut thread = Thread { stdout: io::stdout(), woken, incoming, progress };
    std::thread::Builder::new().name("stdout".to_owned()).spawn(move || thread.work(&status))?;
    Ok(Requests { buffers, wake })
}

struct Thread {
    stdout: Stdout,
    woken: PipeReader,
    incoming: Receiver<Arc<Vec<u8>>>,
    progress: watch::Sender<Progress>,
}

/// Why the thread ends.
enum Stop {
    Asked,
    End(End),
}

/// What a wait ended with: one of the two at least.
struct Woke {
    /// There is something to write, or a wish to stop.
    requested: bool,
    /// Standard output takes something.
    writable: bool,
}

impl Thread {
    fn work(&mut self, status: &StatusLine) {
        let stop = loop {
            let written = self.next().and_then(|bytes| {
                // All at once, else the status line would be drawn into a long line.
                if status.shares_terminal() {
                    status.suspend(|| self.write(bytes))
                } else {
                    self.write(bytes)
                }
            });
            if let Err(stop) = written {
                break stop;
            }
        };
        if let Stop::End(end) = stop {
            self.progress.send_modify(|progress| progress.end = Some(end));
        }
    }

    /// Waits for something to write, or for the reader's end.
    fn next(&mut self) -> Result<Arc<Vec<u8>>, Stop> {
        loop {
            // No file has this band. macOS reports a hangup only to a poll that wants something.
            if !self.wait(PollFlags::RDBAND)?.requested {
                continue;
            }
            return match (self.woken.read(&mut [0]), self.incoming.try_recv()) {
                (Ok(1), Ok(bytes)) => Ok(bytes),
                _ => Err(Stop::Asked),
            };
        }
    }

    fn write(&self, bytes: Arc<Vec<u8>>) -> Result<(), Stop> {
        let mut written = 0;
        while written < bytes.len() {
            // Nothing else is handed over meanwhile: a request is a wish to stop. A line is ended first if that needs no wait.
            let woke = self.wait(PollFlags::OUT)?;
            let in_line = bytes[..written].last().is_some_and(|last| *last != b'\n');
            if woke.requested && !(in_line && woke.writable) {
                return Err(Stop::Asked);
            }
            match rustix::io::write(&self.stdout, piece(&bytes[written..], PIPE_BUF)) {
                Ok(count) => {
                    written += count;
                    self.progress.send_if_modified(|progress| {
                        progress.written += count as u64;
                        false
                    });
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::PIPE) => return Err(Stop::End(End::Closed)),
                Err(error) => return Err(Stop::End(End::Failed(io::Error::from(error).to_string()))),
            }
        }
        // Before the other side looks: it uses the memory again.
        drop(bytes);
        self.progress.send_modify(|_| {});
        Ok(())
    }

    /// Waits until standard output is `wanted`, or for a request.
    fn wait(&self, wanted: PollFlags) -> Result<Woke, Stop> {
        loop {
            let mut both = [PollFd::new(&self.woken, PollFlags::IN), PollFd::new(&self.stdout, wanted)];
            match poll(&mut both, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(Stop::End(End::Failed(io::Error::from(error).to_string()))),
            }
            let [woken, stdout] = both.map(|polled| polled.revents());
            // macOS cannot poll every device: on such a one it waits in `write`, and in `read` for requests.
            let unknown = stdout.contains(PollFlags::NVAL);
            let woke = Woke {
                requested: !woken.is_empty() || (unknown && wanted != PollFlags::OUT),
                writable: stdout.contains(PollFlags::OUT) || unknown,
            };
            if !woke.requested && stdout.intersects(PollFlags::ERR | PollFlags::HUP) {
                return Err(Stop::End(End::Closed));
            }
            if woke.requested || woke.writable {
                return Ok(woke);
            }
        }
    }
}
