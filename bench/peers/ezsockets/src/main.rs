//! ezsockets: it reconnects, and gives messages to a trait's methods.

use async_trait::async_trait;
use ezsockets::{Bytes, ClientConfig, ClientExt, Error, Utf8Bytes};
use tidegate_bench_peers::{Job, Meter, run};

struct Client {
    meter: Meter,
}

#[async_trait]
impl ClientExt for Client {
    type Call = ();

    async fn on_text(&mut self, text: Utf8Bytes) -> Result<(), Error> {
        self.meter.message(text.len());
        Ok(())
    }

    async fn on_binary(&mut self, _: Bytes) -> Result<(), Error> {
        Ok(())
    }

    async fn on_call(&mut self, (): ()) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {
    run(async {
        let job = Job::from_args();
        let client = Client { meter: Meter::new(&job) };
        let (_handle, end) = ezsockets::connect(|_| client, ClientConfig::new(job.url.as_str())).await;
        tokio::spawn(end).await?
    });
}
