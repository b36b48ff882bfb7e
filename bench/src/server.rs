//! The server: a process of its own that is never the bottleneck, and holds thousands of connections cheaply.
//!
//! It prints its addresses as a JSON array on its first line, takes orders on standard input, and ends with that.
//! The path of a URL says what a connection gets: see [`path`].

mod hub;
pub(crate) mod path;
mod session;
mod upgrade;

use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::Result;
use crate::machine::raise_open_files;
use hub::{Hub, Verdict};

/// As many connections as may wait to be accepted at one address; the system may allow fewer.
const BACKLOG: u32 = 65_535;

/// Serves on 127.0.0.1 and the addresses after it. Several make room for more connections that wait, and for more ports
/// on the side of clients.
pub(crate) fn run(addresses: u8) -> Result<()> {
    raise_open_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let hub = Arc::new(Hub::new());
        let mut bound = Vec::new();
        for last in 1..=addresses {
            let listener = listen(Ipv4Addr::new(127, 0, 0, last))?;
            bound.push(listener.local_addr()?.to_string());
            tokio::spawn(accept(listener, hub.clone()));
        }
        println!("{}", serde_json::to_string(&bound)?);
        let orders = tokio::task::spawn_blocking(move || take_orders(&hub));
        orders.await?
    })
}

fn listen(address: Ipv4Addr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((address, 0)))?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, hub: Arc<Hub>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => match hub.attempt() {
                Verdict::Serve { epoch } => {
                    let hub = hub.clone();
                    tokio::spawn(async move {
                        if let Err(error) = session::serve(socket, &hub, epoch).await {
                            eprintln!("server: {error}");
                        }
                    });
                }
                Verdict::Refuse => refuse(socket),
            },
            Err(error) => {
                eprintln!("server: cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// Drops a connection with a reset, which leaves no trace in the system.
fn refuse(socket: TcpStream) {
    if let Err(error) = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)) {
        eprintln!("server: {error}");
    }
}

/// Carries out what the harness asks for, until its end of the pipe is closed.
fn take_orders(hub: &Hub) -> Result<()> {
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["messages", "on"] => hub.send_messages(true),
            ["messages", "off"] => hub.send_messages(false),
            ["drop", outage_ms] => hub.drop_all(Duration::from_millis(outage_ms.parse()?)),
            ["peak", "attempts"] => println!("{}", hub.peak_attempts()),
            _ => return Err(format!("not an order: {line}").into()),
        }
    }
    std::process::exit(0)
}
