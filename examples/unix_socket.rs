//! Follows a feed over a Unix socket. The application opens the stream, and tidegate does the upgrade and the framing.
//!
//! Start a server with `cargo run -r -p tidegate-cli -- serve`, and a socket that leads to it with
//! `socat UNIX-LISTEN:/tmp/feed.sock,fork TCP:127.0.0.1:9001`, then
//! `cargo run --example unix_socket -- /tmp/feed.sock '{"op":"subscribe","channel":"trades"}'`.

use std::error::Error;

use tokio::net::UnixStream;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(subscription)) = (args.next(), args.next()) else {
        return Err("usage: unix_socket PATH SUBSCRIPTION".into());
    };
    let mut feed =
        tidegate::rt::tokio::feed_over("ws://localhost/feed", move |_| UnixStream::connect(path.clone()))
            .on_upgrade(move |_| Ok([subscription.clone()])) // after every reconnect, too
            .on_notice(|notice, _| eprintln!("{notice:?}"))
            .spawn()?;
    while let Some(delivery) = feed.recv().await {
        if let Some(message) = delivery?.into_item() {
            println!("{}", message.as_text().unwrap_or("(binary)"));
        }
    }
    Ok(())
}
