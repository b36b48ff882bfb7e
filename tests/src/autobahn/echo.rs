//! What the fuzzing server asks of a client: echo every message of every case until the connection ends.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use tidegate::driver::Transport;
use tidegate::{ConnectRequest, Frame};

use super::Wstest;
use crate::Connector;
use crate::adapter::Adapter;
use crate::wait::timeout;

/// How many cases run at once of those that mostly wait.
const AT_ONCE: usize = 8;

/// Longer than any case takes on a busy machine: two seconds on an idle one.
const BOUND: Duration = Duration::from_secs(60);

/// Runs all cases of `server`, and has it write its report about `agent`.
///
/// # Errors
/// If a connection cannot be made, or does not end. How the cases ended is in the report alone.
pub async fn run_all_cases<A: Adapter>(
    connector: &Connector,
    server: &Wstest,
    agent: &str,
) -> Result<(), String> {
    // The server measures seconds by the clock, and has one thread: what keeps it busy runs alone.
    let (busy, waiting): (Vec<_>, Vec<_>) = server.cases().iter().partition(|case| keeps_busy(case));
    let run = |case: &String| {
        let url = format!("{}/runCase?casetuple={case}&agent={agent}", server.url());
        let case = case.clone();
        async move { echo::<A>(connector, url).await.map_err(|problem| format!("{case}: {problem}")) }
    };
    stream::iter(waiting).map(run).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    stream::iter(busy).then(run).try_collect::<()>().await?;
    // It sends nothing but Close, when the report is there.
    echo::<A>(connector, format!("{}/updateReports?agent={agent}", server.url())).await
}

/// Whether a case is about load (section 9) or compression (12 and 13): large messages, and many of them.
fn keeps_busy(case: &str) -> bool {
    case.split('.').next().is_some_and(|section| matches!(section, "9" | "12" | "13"))
}

async fn echo<A: Adapter>(connector: &Connector, url: String) -> Result<(), String> {
    let request = ConnectRequest::new(url).map_err(|error| error.to_string())?;
    let transport = A::connect_once(request, connector.clone(), BOUND).await;
    let transport = transport.map_err(|failure| failure.to_string())?;
    let ended = timeout(BOUND, echo_to_the_end(transport)).await;
    ended.ok_or_else(|| format!("it does not end within {BOUND:?}"))
}

/// Sends text and binary messages back. Pings and Close are the transport's to answer, and the server sees whether
/// it does; an error is how many of the cases should end.
async fn echo_to_the_end(mut transport: impl Transport) {
    let mut writable = true;
    while let Some(Ok(frame)) = transport.next().await {
        match frame {
            // What has come before an error of the sink is still read, so that the closing handshake is one.
            Frame::Message(_) => writable = writable && transport.send(frame).await.is_ok(),
            Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) => {}
        }
    }
}
