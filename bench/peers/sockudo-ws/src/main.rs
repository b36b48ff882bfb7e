//! sockudo-ws: one connection.

use futures_util::StreamExt;
use http::Uri;
use sockudo_ws::handshake::client_handshake;
use sockudo_ws::{Config, Message, Role, WebSocketStream};
use tidegate_bench_peers::{Job, Meter, run};
use tokio::net::TcpStream;

fn main() {
    run(async {
        let job = Job::from_args();
        let mut meter = Meter::new(&job);
        let uri: Uri = job.url.parse()?;
        let address = uri.authority().ok_or("a URL without a host")?.as_str();
        let mut socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let answer = client_handshake(&mut socket, address, uri.path(), None).await?;
        let config = Config::default();
        let mut socket =
            WebSocketStream::from_raw_with_leftover(socket, Role::Client, config, answer.leftover);
        while let Some(message) = socket.next().await {
            if let Message::Text(text) = message? {
                meter.message(text.len());
            }
        }
        Ok(())
    });
}
