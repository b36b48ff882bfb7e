//! fastwebsockets: one connection, read through its collector of fragments.

use bytes::Bytes;
use fastwebsockets::{FragmentCollector, OpCode, handshake};
use http_body_util::Empty;
use hyper::Request;
use hyper::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::rt::Executor;
use tidegate_bench_peers::{Job, Meter, run};
use tokio::net::TcpStream;

struct Spawn;

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Spawn {
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}

fn main() {
    run(async {
        let job = Job::from_args();
        let mut meter = Meter::new(&job);
        let uri: hyper::Uri = job.url.parse()?;
        let address = uri.authority().ok_or("a URL without a host")?.as_str().to_owned();
        let socket = TcpStream::connect(&address).await?;
        socket.set_nodelay(true)?;
        let request = Request::get(uri.path())
            .header(HOST, address)
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "upgrade")
            .header(SEC_WEBSOCKET_KEY, handshake::generate_key())
            .header(SEC_WEBSOCKET_VERSION, "13")
            .body(Empty::<Bytes>::new())?;
        let (socket, _) = handshake::client(&Spawn, request, socket).await?;
        let mut socket = FragmentCollector::new(socket);
        loop {
            let frame = socket.read_frame().await?;
            match frame.opcode {
                OpCode::Text | OpCode::Binary => meter.message(frame.payload.len()),
                OpCode::Close => return Ok(()),
                OpCode::Continuation | OpCode::Ping | OpCode::Pong => {}
            }
        }
    });
}
