//! Follows a feed over connections of async-tungstenite, which the application opens over a Unix socket. Runs on smol.
//!
//! Start a server with `cargo run -r -p tidegate-cli -- serve`, and a socket that leads to it with
//! `socat UNIX-LISTEN:/tmp/feed.sock,fork TCP:127.0.0.1:9001`, then
//! `cargo run --example unix_tungstenite -- /tmp/feed.sock '{"op":"subscribe","channel":"trades"}'`.

use std::error::Error;

use async_tungstenite::client_async;
use smol::net::unix::UnixStream;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(subscription)) = (args.next(), args.next()) else {
        return Err("usage: unix_tungstenite PATH SUBSCRIPTION".into());
    };
    let mut feed = tidegate::rt::smol::feed("ws://localhost/feed")
        .over_tungstenite(move |request| {
            let path = path.clone();
            async move { Ok(client_async(request, UnixStream::connect(path).await?).await?.0) }
        })
        .on_upgrade(move |_| Ok([subscription.clone()])) // after every reconnect, too
        .on_notice(|notice, _| eprintln!("{notice:?}"))
        .spawn()?;
    smol::block_on(async {
        while let Some(delivery) = feed.recv().await {
            if let Some(message) = delivery?.into_item() {
                println!("{}", message.as_text().unwrap_or("(binary)"));
            }
        }
        Ok(())
    })
}
