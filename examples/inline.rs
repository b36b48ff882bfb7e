//! A feed without a task: polling the stream drives the connection. Prints ten messages, then closes the connection.
//!
//! Start a server with `cargo run -r -p tidegate-cli -- serve`, then
//! `cargo run --example inline -- ws://127.0.0.1:9001/feed '{"op":"subscribe","channel":"trades"}'`.

use std::error::Error;

use futures_util::StreamExt;

// One thread is enough.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(subscription)) = (args.next(), args.next()) else {
        return Err("usage: inline URL SUBSCRIPTION".into());
    };
    let feed = tidegate::rt::tokio::feed(url.as_str())
        .on_upgrade(move |_| Ok([subscription.clone()])) // after every reconnect, too
        .inline()?;
    let handle = feed.handle();
    let mut items = feed.items();
    for _ in 0..10 {
        let Some(message) = items.next().await else { break };
        println!("{}", message?.as_text().unwrap_or("(binary)"));
    }
    handle.shutdown();
    // Dropping the stream here would work too, but the server would see no Close: sending one takes polls.
    while let Some(late) = items.next().await {
        late?;
    }
    println!("{:?}", handle.stats());
    Ok(())
}
