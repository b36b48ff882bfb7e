//! nautilus-network: it reconnects, and gives messages to a function, over the transport that it has by default.

use std::sync::{Arc, Mutex};

use nautilus_network::Message;
use nautilus_network::websocket::{MessageHandler, WebSocketClient, WebSocketConfig};
use tidegate_bench_peers::{Job, Meter, fail, run};

fn main() {
    run(async {
        let job = Job::from_args();
        let meter = Mutex::new(Meter::new(&job));
        let handler: MessageHandler = Arc::new(move |message| match message {
            Message::Text(text) => match meter.lock() {
                Ok(mut meter) => meter.message(text.len()),
                Err(_) => fail("the meter is poisoned"),
            },
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
        });
        let config = WebSocketConfig::builder().url(job.url).build();
        let _client = WebSocketClient::connect(config, Some(handler), None, None, Vec::new(), None).await?;
        std::future::pending().await
    });
}
