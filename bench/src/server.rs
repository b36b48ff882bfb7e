//! The server: a process of its own, fast enough for every client, that holds thousands of connections.
//!
//! It prints its addresses as a JSON array on its first line, reads commands on standard input, and ends when standard input does.
//! The path of a URL says what a connection receives: see [`path`].

pub(crate) mod path;
mod session;
mod state;
mod upgrade;

use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::Result;
use crate::machine::raise_open_files;
use state::{Admission, ServerState};

/// Maximum number of connections that wait to be accepted at one address; the system may allow fewer.
const BACKLOG: u32 = 65_535;

/// Serves on 127.0.0.1 and the addresses after it. Several addresses allow more connections to wait, and give clients more
/// ports.
pub(crate) fn run(addresses: u8) -> Result<()> {
    raise_open_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let state = Arc::new(ServerState::new());
        let mut bound = Vec::new();
        for last in 1..=addresses {
            let listener = listen(Ipv4Addr::new(127, 0, 0, last))?;
            bound.push(listener.local_addr()?.to_string());
            tokio::spawn(accept(listener, state.clone()));
        }
        println!("{}", serde_json::to_string(&bound)?);
        tokio::task::spawn_blocking(move || read_commands(&state)).await?
    })
}

fn listen(address: Ipv4Addr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((address, 0)))?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, state: Arc<ServerState>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => match state.attempt() {
                Admission::Accept { epoch } => {
                    let state = state.clone();
                    tokio::spawn(async move {
                        if let Err(error) = session::serve(socket, &state, epoch).await {
                            eprintln!("server: {error}");
                        }
                    });
                }
                Admission::Refuse => refuse(socket),
            },
            Err(error) => {
                eprintln!("server: cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// Resets a connection, so that nothing of it stays in the system.
fn refuse(socket: TcpStream) {
    if let Err(error) = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)) {
        eprintln!("server: {error}");
    }
}

/// Carries out the commands of the harness until it closes the pipe.
fn read_commands(state: &ServerState) -> Result<()> {
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["messages", "on"] => state.send_messages(true),
            ["messages", "off"] => state.send_messages(false),
            ["drop", outage_ms] => state.drop_all(Duration::from_millis(outage_ms.parse()?)),
            ["peak", "attempts"] => println!("{}", state.peak_attempts()),
            _ => return Err(format!("unknown command: {line}").into()),
        }
    }
    std::process::exit(0)
}
