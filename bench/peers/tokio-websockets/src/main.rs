//! tokio-websockets: one connection.

use futures_util::StreamExt;
use tidegate_bench_peers::{Job, Meter, run};
use tokio_websockets::ClientBuilder;

fn main() {
    run(async {
        let job = Job::from_args();
        let mut meter = Meter::new(&job);
        let (mut socket, _) = ClientBuilder::new().uri(&job.url)?.connect().await?;
        while let Some(message) = socket.next().await {
            if let Some(text) = message?.as_text() {
                meter.message(text.len());
            }
        }
        Ok(())
    });
}
