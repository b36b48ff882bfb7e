//! A heartbeat of the application's own, as many exchanges require. The handler sends it at intervals, and reconnects
//! if two in a row get no answer.
//!
//! Start a server with `cargo run -r -p tidegate-cli -- serve`, then
//! `cargo run --example heartbeat -- ws://127.0.0.1:9001/feed '{"op":"ping"}'`. That server does not know the request,
//! and says so, which is an answer too.

use std::error::Error;
use std::time::Duration;

use tidegate::{Context, Delivery, Fault, FrameHandler, Message, TimerKey, Upgrade};

const INTERVAL: Duration = Duration::from_secs(1);
const BEAT: TimerKey = TimerKey(0);

/// Sends this at fixed intervals.
struct Heartbeat(String);

impl FrameHandler for Heartbeat {
    /// Number of heartbeats since the last message of the server.
    type Session = u32;
    type Item = Message;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<u32, Fault> {
        upgrade.set_timer_in(BEAT, INTERVAL);
        Ok(0)
    }

    fn on_message(
        &mut self,
        unanswered: &mut u32,
        message: Message,
        cx: &mut Context<'_, Message>,
    ) -> Result<(), Fault> {
        *unanswered = 0;
        cx.emit(message);
        Ok(())
    }

    fn on_timer(
        &mut self,
        unanswered: &mut u32,
        _: TimerKey,
        cx: &mut Context<'_, Message>,
    ) -> Result<(), Fault> {
        if *unanswered == 2 {
            return Err(Fault::retryable("two heartbeats without an answer"));
        }
        *unanswered += 1;
        cx.send(self.0.as_str())?;
        cx.set_timer_in(BEAT, INTERVAL);
        Ok(())
    }

    /// The payload's length.
    fn weight(item: &Message) -> usize {
        item.len()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(beat)) = (args.next(), args.next()) else {
        return Err("usage: heartbeat URL MESSAGE".into());
    };
    let mut feed = tidegate::rt::tokio::feed(url.as_str()).handler(Heartbeat(beat)).spawn()?;
    while let Some(delivery) = feed.recv().await {
        match delivery? {
            Delivery::Item(message) => println!("{}", message.as_text().unwrap_or("(binary)")),
            other @ (Delivery::Opened { .. }
            | Delivery::Live { .. }
            | Delivery::Interrupted { .. }
            | Delivery::Dropped { .. }) => {
                eprintln!("{other:?}");
            }
        }
    }
    Ok(())
}
