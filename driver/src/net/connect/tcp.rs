//! TCP sockets and their options.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

/// Minimum and maximum delay that every system accepts. Linux and macOS count whole seconds.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(32_767));

/// Options of a socket.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TcpOptions {
    pub(crate) bind: Option<IpAddr>,
    pub(crate) keepalive: Option<Duration>,
}

impl TcpOptions {
    /// Returns whether a socket with these options can connect to `address`.
    pub(crate) fn can_reach(&self, address: &SocketAddr) -> bool {
        self.bind.is_none_or(|local| local.is_ipv4() == address.is_ipv4())
    }

    /// Returns a non-blocking socket that is connecting to `address`.
    pub(crate) fn connect(&self, address: &SocketAddr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // A feed's frames are small and urgent, and must not wait for a full segment.
        socket.set_tcp_nodelay(true)?;
        if let Some(after) = self.keepalive {
            let after = after.clamp(KEEPALIVE.0, KEEPALIVE.1);
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after).with_interval(after))?;
        }
        if let Some(local) = self.bind {
            socket.bind(&SocketAddr::new(local, 0).into())?;
        }
        match socket.connect(&(*address).into()) {
            Err(error) if !in_progress(&error) => Err(error),
            Ok(()) | Err(_) => Ok(socket.into()),
        }
    }
}

/// Returns whether the error says that a non-blocking socket is still connecting.
fn in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::SockRef;

    use super::*;

    fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[test]
    fn what_is_set_is_set() {
        let (_listener, address) = listen();
        for (given, seconds) in [(42_000, 42), (1, 1), (u64::MAX, 32_767)] {
            let keepalive = Some(Duration::from_millis(given));
            let options = TcpOptions { bind: Some("127.0.0.2".parse().unwrap()), keepalive };
            let stream = options.connect(&address).unwrap();
            let socket = SockRef::from(&stream);
            assert!(socket.tcp_nodelay().unwrap());
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(seconds));
            assert_eq!(stream.local_addr().unwrap().ip(), options.bind.unwrap());
        }
    }

    #[test]
    fn keepalive_is_off_by_default() {
        let (_listener, address) = listen();
        let stream = TcpOptions::default().connect(&address).unwrap();
        assert!(!SockRef::from(&stream).keepalive().unwrap());
    }

    #[test]
    fn a_local_address_reaches_its_own_family() {
        let options = TcpOptions { bind: Some("127.0.0.1".parse().unwrap()), ..TcpOptions::default() };
        assert!(options.can_reach(&"127.0.0.1:9".parse().unwrap()));
        assert!(!options.can_reach(&"[::1]:9".parse().unwrap()));
        assert!(TcpOptions::default().can_reach(&"[::1]:9".parse().unwrap()));
    }
}
