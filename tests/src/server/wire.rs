//! What a connection's bytes go over: TCP, or TLS on top of it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use tidegate::rustls::{self, ServerConfig, ServerConnection};

use super::{Peer, Server};

/// TCP, with TLS once that was asked for.
pub(super) struct Wire {
    pub(super) tcp: TcpStream,
    tls: Option<ServerConnection>,
}

impl Wire {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp, tls: None }
    }

    /// Reads what is left, and drops it.
    fn drain(&mut self) -> io::Result<()> {
        io::copy(&mut self.tcp, &mut io::sink()).map(drop)
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls, &mut self.tcp).read(buffer),
            None => self.tcp.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls, &mut self.tcp).write(buffer),
            None => self.tcp.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls, &mut self.tcp).flush(),
            None => self.tcp.flush(),
        }
    }
}

impl Server {
    /// Where a feed finds it over TLS, by this name or address.
    #[must_use]
    pub fn secure_url(&self, host: &str) -> String {
        format!("wss://{host}:{}/feed", self.port())
    }
}

impl Peer {
    /// Where the client is.
    pub fn client(&self) -> io::Result<SocketAddr> {
        self.stream.tcp.peer_addr()
    }

    /// The next bytes, whatever they are.
    pub fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Goes on over TLS, from here to the end. TCP that ends without TLS's own goodbye is what `fin` and `reset` are then.
    pub fn secure(&mut self, config: &Arc<ServerConfig>) -> io::Result<()> {
        let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            if let Err(error) = tls.complete_io(&mut self.stream.tcp) {
                // A socket that is closed with something to read in it resets, and that may overtake the alert.
                self.drain()?;
                return Err(error);
            }
        }
        self.stream.tls = Some(tls);
        Ok(())
    }

    /// The application protocol that both sides agreed on (ALPN), if there is one.
    #[must_use]
    pub fn protocol(&self) -> Option<String> {
        let protocol = self.stream.tls.as_ref()?.alpn_protocol()?;
        Some(String::from_utf8_lossy(protocol).into_owned())
    }

    /// Says nothing, and reads whatever comes until the client has gone.
    pub fn listen(&mut self) -> io::Result<()> {
        let drained = self.stream.drain();
        self.gone();
        drained
    }

    /// Says no more, and reads whatever comes until the client has gone.
    pub fn drain(&mut self) -> io::Result<()> {
        self.stream.tcp.shutdown(Shutdown::Write)?;
        self.listen()
    }
}
