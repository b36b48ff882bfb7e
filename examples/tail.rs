//! Follows a feed and prints its messages, across every drop.
//!
//! Start a server with `cargo run -r -p tidegate-cli -- serve --faults-every 2s`, then
//! `cargo run --example tail -- ws://127.0.0.1:9001/feed '{"op":"subscribe","channel":"trades"}'`.

use std::error::Error;

use tidegate::Delivery;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let Some(url) = args.next() else {
        return Err("usage: tail URL [MESSAGE-TO-SEND-AFTER-EVERY-CONNECT ...]".into());
    };
    let subscriptions: Vec<_> = args.collect();
    let mut feed = tidegate::rt::tokio::feed(url.as_str())
        .on_upgrade(move |_| Ok(subscriptions.clone())) // after every reconnect, too
        .spawn()?;
    let handle = feed.handle();
    tokio::spawn(async move {
        // The feed ends with a closing handshake, which ends the loop below.
        if tokio::signal::ctrl_c().await.is_ok() {
            handle.shutdown();
        }
    });
    while let Some(delivery) = feed.recv().await {
        match delivery? {
            Delivery::Item(message) => println!("{}", message.as_text().unwrap_or("(binary)")),
            Delivery::Opened { id } => eprintln!("connection {id}: start over"),
            Delivery::Live { id } => eprintln!("connection {id} is live"),
            Delivery::Interrupted { failure: Some(failure), .. } => eprintln!("interrupted: {failure}"),
            Delivery::Interrupted { failure: None, .. } => eprintln!("shut down"),
            Delivery::Dropped { count } => eprintln!("{count} items are missing here"),
        }
    }
    Ok(())
}
