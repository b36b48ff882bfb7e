//! One connection of the server.

use std::io::{self, Write};
use std::net::TcpStream as StdStream;
use std::thread;
use std::time::Duration;

use tidegate_bench_meter::{ClockId, clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use super::path::Path;
use super::state::ServerState;
use super::upgrade::upgrade;
use crate::Result;
use crate::payload::{SHORTEST, json, number, text_frame};

/// Bytes of one write, at most, unless a single message is longer.
const WRITE: usize = 256 << 10;

/// Size of messages that carry a time, and of those on [`Path::Hold`].
const SMALL: usize = 64;

/// Time between two messages on [`Path::Hold`].
const SECOND: Duration = Duration::from_secs(1);

/// Serves a connection that was accepted in `epoch` until it ends.
pub(crate) async fn serve(mut socket: TcpStream, state: &ServerState, epoch: u64) -> Result<()> {
    socket.set_nodelay(true)?;
    match upgrade(&mut socket).await? {
        None => Ok(()),
        Some(Path::Flood { size, .. }) if size < SHORTEST => Err("too short a message".into()),
        Some(Path::Flood { size, count }) => blocking(socket, move |socket| flood(socket, size, count)),
        Some(Path::Stamp { count, interval }) => {
            blocking(socket, move |socket| stamp(socket, count, interval))
        }
        Some(Path::Flap { after }) => {
            sleep(after).await;
            Ok(socket.write_all(&stamped()).await?)
        }
        Some(Path::Hold) => hold(socket, state, epoch).await,
    }
}

/// Serves in a thread with blocking calls, without the cost of a runtime.
fn blocking(
    socket: TcpStream,
    serve: impl FnOnce(&mut StdStream) -> io::Result<()> + Send + 'static,
) -> Result<()> {
    let mut socket = socket.into_std()?;
    socket.set_nonblocking(false)?;
    thread::spawn(move || {
        // A client that has received all it wants disconnects: no error.
        if serve(&mut socket).is_ok() {
            io::copy(&mut socket, &mut io::sink()).ok();
        }
    });
    Ok(())
}

/// Sends `count` messages, prepared in advance, as many as fit in each write.
fn flood(socket: &mut StdStream, size: usize, count: u64) -> io::Result<()> {
    let frame = text_frame(&json(size));
    let at_once = (WRITE / frame.len()).max(1);
    let block = frame.repeat(at_once);
    let (blocks, rest) = (count / at_once as u64, count % at_once as u64);
    for _ in 0..blocks {
        socket.write_all(&block)?;
    }
    for _ in 0..rest {
        socket.write_all(&frame)?;
    }
    Ok(())
}

/// Sends one message at a time, each with the current time.
fn stamp(socket: &mut StdStream, count: u64, interval: Duration) -> io::Result<()> {
    for _ in 0..count {
        thread::sleep(interval);
        socket.write_all(&stamped())?;
    }
    Ok(())
}

/// A message with the current time.
fn stamped() -> Vec<u8> {
    let now = clock(ClockId::Monotonic).as_nanos();
    text_frame(&number(u64::try_from(now).unwrap_or(u64::MAX), SMALL))
}

/// Holds the connection until the client ends it or all are dropped.
async fn hold(mut socket: TcpStream, state: &ServerState, epoch: u64) -> Result<()> {
    let frame = text_frame(&json(SMALL));
    let mut control = state.control();
    // Spreads the messages of all connections over the second.
    let phase = SECOND.mul_f64(fastrand::f64());
    let mut next = Instant::now() + phase;
    let mut received = [0; SMALL];
    loop {
        let now = *control.borrow_and_update();
        if now.epoch != epoch {
            return Ok(());
        }
        tokio::select! {
            read = socket.read(&mut received) => match read {
                Ok(0) | Err(_) => return Ok(()),
                Ok(_) => {}
            },
            changed = control.changed() => {
                changed?;
                next = Instant::now() + phase;
            }
            () = sleep_until(next), if now.messages => {
                socket.write_all(&frame).await?;
                next += SECOND;
            }
        }
    }
}
