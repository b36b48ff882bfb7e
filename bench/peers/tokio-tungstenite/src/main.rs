//! tokio-tungstenite: one connection.

use futures_util::StreamExt;
use tidegate_bench_peers::{Job, Meter, run};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

fn main() {
    run(async {
        let job = Job::from_args();
        let mut meter = Meter::new(&job);
        let (mut socket, _) = connect_async(job.url.as_str()).await?;
        while let Some(message) = socket.next().await {
            if let Message::Text(text) = message? {
                meter.message(text.len());
            }
        }
        Ok(())
    });
}
