//! Where connections come in; it can be shut and opened again at the same address.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::connection;
use super::shared::Shared;

#[derive(Debug)]
pub(super) struct Door {
    shared: Arc<Shared>,
    upstream: SocketAddr,
    /// Bound and never listening: keeps the port ours while the door is shut, and connections to it are refused.
    reservation: Socket,
    open: Mutex<Option<Listening>>,
}

#[derive(Debug)]
struct Listening {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Door {
    pub(super) fn open(shared: Arc<Shared>, upstream: SocketAddr) -> Self {
        let reservation = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let door = Self { shared, upstream, reservation, open: Mutex::new(None) };
        door.reopen();
        door
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.reservation.local_addr().unwrap().as_socket().unwrap()
    }

    pub(super) fn reopen(&self) {
        let mut open = self.open.lock().unwrap();
        if open.is_some() {
            return;
        }
        let socket = bind(self.address());
        socket.listen(128).unwrap();
        let (listener, stop) = (TcpListener::from(socket), Arc::new(AtomicBool::new(false)));
        let (shared, upstream, stopped) = (Arc::clone(&self.shared), self.upstream, Arc::clone(&stop));
        let thread = thread::spawn(move || {
            for client in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                accept(&shared, client.unwrap(), upstream);
            }
        });
        *open = Some(Listening { thread, stop });
    }

    pub(super) fn shut(&self) {
        if let Some(Listening { thread, stop }) = self.open.lock().unwrap().take() {
            stop.store(true, Ordering::Relaxed);
            // Wakes it up.
            let _ = TcpStream::connect(self.address());
            let _ = thread.join();
        }
    }
}

/// With `SO_REUSEADDR`, two may be bound to the same port as long as one alone listens.
fn bind(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

fn accept(shared: &Arc<Shared>, client: TcpStream, upstream: SocketAddr) {
    match TcpStream::connect(upstream) {
        Ok(server) => connection::start(shared, client, server),
        Err(_) => {
            let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
        }
    }
}
