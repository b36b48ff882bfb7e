//! One connection of the server's.

use std::io::{self, Write};
use std::net::TcpStream as StdStream;
use std::thread;
use std::time::Duration;

use tidegate_bench_meter::{ClockId, clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use super::hub::Hub;
use super::path::Path;
use super::upgrade::upgrade;
use crate::Result;
use crate::payload::{SHORTEST, json, number, text_frame};

/// As much as one write gives, or one message if that is longer.
const WRITE: usize = 256 << 10;

/// The size of messages that carry a time, or that are sent to connections that are held.
const SMALL: usize = 64;

/// Time between two messages to a connection that is held.
const SECOND: Duration = Duration::from_secs(1);

/// Serves a connection that came in `epoch`, to its end.
pub(crate) async fn serve(mut socket: TcpStream, hub: &Hub, epoch: u64) -> Result<()> {
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
        Some(Path::Hold) => hold(socket, hub, epoch).await,
    }
}

/// Goes on in a thread, where nothing lies between this program and the system.
fn blocking(
    socket: TcpStream,
    serve: impl FnOnce(&mut StdStream) -> io::Result<()> + Send + 'static,
) -> Result<()> {
    let mut socket = socket.into_std()?;
    socket.set_nonblocking(false)?;
    thread::spawn(move || {
        // The client goes when it has seen enough: that is no fault.
        if serve(&mut socket).is_ok() {
            io::copy(&mut socket, &mut io::sink()).ok();
        }
    });
    Ok(())
}

/// Sends `count` messages, as many as fit in one write; they were made before.
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

/// Sends one message at a time, each with the time.
fn stamp(socket: &mut StdStream, count: u64, interval: Duration) -> io::Result<()> {
    for _ in 0..count {
        thread::sleep(interval);
        socket.write_all(&stamped())?;
    }
    Ok(())
}

/// A message with the time at which it was made.
fn stamped() -> Vec<u8> {
    let now = clock(ClockId::Monotonic).as_nanos();
    text_frame(&number(u64::try_from(now).unwrap_or(u64::MAX), SMALL))
}

/// Holds the connection until its end: the client's, or the orders'.
async fn hold(mut socket: TcpStream, hub: &Hub, epoch: u64) -> Result<()> {
    let frame = text_frame(&json(SMALL));
    let mut orders = hub.orders();
    // Not all in the same moment.
    let phase = SECOND.mul_f64(fastrand::f64());
    let mut next = Instant::now() + phase;
    let mut received = [0; SMALL];
    loop {
        let now = *orders.borrow_and_update();
        if now.epoch != epoch {
            return Ok(());
        }
        tokio::select! {
            read = socket.read(&mut received) => match read {
                Ok(0) | Err(_) => return Ok(()),
                Ok(_) => {}
            },
            changed = orders.changed() => {
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
