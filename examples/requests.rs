//! Requests over a feed, each with its answer or its fate. None is sent twice.
//!
//! `cargo run --example requests -- URL METHOD`

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate::{CommandHandler, Context, Failure, Fault, FrameHandler, Message, TimerKey, Upgrade};
use tokio::sync::oneshot;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// There was no connection, or no room.
    NotSent,
    /// There was no answer within two seconds.
    TimedOut,
    /// The connection ended after the request was sent: nobody knows whether it was carried out.
    Unknown,
}

type Reply = oneshot::Sender<Result<Value, Fate>>;
type Pending = HashMap<u64, Reply>;
type Cx<'a> = Context<'a, Value>;

/// The handler, with the number of the last request.
#[derive(Default)]
pub struct Requests(u64);

impl FrameHandler for Requests {
    type Session = Pending;
    type Item = Value;

    fn on_upgrade(&mut self, _: &mut Upgrade<'_>) -> Result<Pending, Fault> {
        Ok(HashMap::new())
    }

    fn on_message(&mut self, pending: &mut Pending, message: Message, cx: &mut Cx<'_>) -> Result<(), Fault> {
        let value: Value =
            serde_json::from_slice(message.payload()).map_err(|_| Fault::retryable("no JSON"))?;
        match value["id"].as_u64().and_then(|id| pending.remove(&id)) {
            Some(reply) => _ = reply.send(Ok(value)),
            None => cx.emit(value),
        }
        Ok(())
    }

    fn on_timer(&mut self, pending: &mut Pending, key: TimerKey, _: &mut Cx<'_>) -> Result<(), Fault> {
        pending.remove(&key.0).map(|reply| reply.send(Err(Fate::TimedOut)));
        Ok(())
    }

    fn on_end(&mut self, pending: Pending, _: Option<&Failure>) {
        pending.into_values().for_each(|reply| _ = reply.send(Err(Fate::Unknown)));
    }
}

impl CommandHandler for Requests {
    type Command = (String, Reply);

    fn on_command(
        &mut self,
        session: Option<&mut Pending>,
        (method, reply): (String, Reply),
        cx: &mut Cx<'_>,
    ) -> Result<(), Fault> {
        self.0 += 1;
        match (session, cx.send(json!({ "id": self.0, "method": method }).to_string())) {
            (Some(pending), Ok(())) => {
                cx.set_timer_in(TimerKey(self.0), Duration::from_secs(2));
                pending.insert(self.0, reply);
            }
            (None, _) | (_, Err(_)) => _ = reply.send(Err(Fate::NotSent)),
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [url, method] = [1, 2].map(|at| std::env::args().nth(at).ok_or("usage: requests URL METHOD"));
    let feed = tidegate::rt::tokio::feed(url?).handler(Requests::default()).spawn_with_commands()?;
    let (reply, answer) = oneshot::channel();
    feed.handle().wait_for(|phase| phase == tidegate::Phase::Live).await;
    feed.handle().command((method?, reply)).await?;
    println!("{:?}", answer.await?);
    Ok(())
}
