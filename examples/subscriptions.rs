//! Subscriptions that change while the feed runs, and are sent again after every reconnect.
//!
//! `cargo run --example subscriptions -- URL`, then lines such as `+trades` and `-trades`.

use std::collections::BTreeSet;
use std::error::Error;

use tidegate::{CommandHandler, Context, Fault, FrameHandler, Message, Upgrade};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

type Cx<'a> = Context<'a, Message>;

/// The handler keeps the channels, over all connections.
#[derive(Default)]
pub struct Subscriptions(BTreeSet<String>);

impl FrameHandler for Subscriptions {
    type Session = ();
    type Item = Message;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        self.0.iter().for_each(|channel| upgrade.send(format!("+{channel}")));
        Ok(())
    }

    fn on_message(&mut self, _: &mut (), item: Message, cx: &mut Cx<'_>) -> Result<(), Fault> {
        cx.emit(item);
        Ok(())
    }
}

impl CommandHandler for Subscriptions {
    /// `+channel` or `-channel`.
    type Command = String;

    fn on_command(&mut self, session: Option<&mut ()>, line: String, cx: &mut Cx<'_>) -> Result<(), Fault> {
        let changed = match line.split_at_checked(1) {
            Some(("+", channel)) => self.0.insert(channel.to_owned()),
            Some(("-", channel)) => self.0.remove(channel),
            Some(_) | None => false,
        };
        // Without a connection, the next upgrade sends what is wanted then.
        if changed && session.is_some() {
            cx.send(line)?;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: subscriptions URL")?;
    let mut feed = tidegate::rt::tokio::feed(url).handler(Subscriptions::default()).spawn_with_commands()?;
    let (handle, mut lines) = (feed.handle(), BufReader::new(stdin()).lines());
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            _ = handle.command(line).await;
        }
    });
    while let Some(delivery) = feed.recv().await {
        println!("{:?}", delivery?);
    }
    Ok(())
}
