//! Latency of a message: from its time stamp, taken just before the server writes it, to the consumer.

use std::process::exit;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tidegate_bench_meter::{ClockId, clock};

use crate::Result;
use crate::args::{Client, Latency, Mode, Runtime};
use crate::machine::Machine;
use crate::payload::parse_number;
use crate::process::{Process, Server, arg, own};
use crate::server::path::Path;
use crate::table::{median, name, table};

/// Messages that are not counted, since caches are cold.
const WARM_UP: u64 = 500;

/// Longer latencies are recorded as this.
const LONGEST: Duration = Duration::from_secs(10);

/// The line that a client prints, in nanoseconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
    p99_9: f64,
    most: f64,
}

/// Records the latency of messages in a client.
pub(crate) struct LatencyRecorder {
    left: u64,
    warm_up: u64,
    nanoseconds: Histogram<u64>,
}

impl LatencyRecorder {
    /// A recorder of `count` messages, [`WARM_UP`] included.
    pub(crate) fn new(count: u64) -> Result<Self> {
        let longest = u64::try_from(LONGEST.as_nanos())?;
        Ok(Self { left: count, warm_up: WARM_UP, nanoseconds: Histogram::new_with_max(longest, 3)? })
    }

    /// Records a message that carries the time at which it was sent. Prints the percentiles and ends the process at the
    /// last one.
    pub(crate) fn record(&mut self, text: &str) -> Result<()> {
        let now = clock(ClockId::Monotonic);
        let sent = Duration::from_nanos(parse_number(text).ok_or("a message without a stamp")?);
        let latency = now.checked_sub(sent).ok_or("a message from the future")?;
        if self.warm_up > 0 {
            self.warm_up -= 1;
        } else {
            self.nanoseconds.saturating_record(u64::try_from(latency.as_nanos())?);
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            println!("{}", serde_json::to_string(&self.percentiles())?);
            exit(0);
        }
        Ok(())
    }

    fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.nanoseconds.value_at_quantile(quantile) as f64;
        Percentiles { p50: at(0.5), p99: at(0.99), p99_9: at(0.999), most: self.nanoseconds.max() as f64 }
    }
}

pub(crate) fn run(options: &Latency) -> Result<()> {
    let count = WARM_UP + if options.quick { 1_000 } else { 10_000 };
    let interval = Duration::from_micros(options.interval_us);
    let server = Server::start(1)?;
    let url = server.url(Path::Stamp { count, interval });
    let clients = clients();
    let mut results = vec![Vec::new(); clients.len()];
    for round in 1..=options.rounds {
        for ((client, runtime, mode), results) in clients.iter().zip(&mut results) {
            eprintln!("round {round}: {}, {}, {}", name(client), name(runtime), name(mode));
            let mut command = own("latency-client", options.threads)?;
            arg(&mut command, client);
            arg(&mut command, runtime);
            arg(&mut command, mode);
            let process = Process::start(command.arg(&url).arg(count.to_string()))?;
            // A sleep takes up to this much longer than requested.
            let slack = Duration::from_millis(1);
            let expected = (interval + slack) * u32::try_from(count)?;
            results.push(process.json(expected + Duration::from_secs(30))?);
        }
    }
    println!("{}, {} rounds of {} messages\n", Machine::here(), options.rounds, count - WARM_UP);
    println!("Microseconds from the server's stamp to the consumer:\n\n{}", figures(&clients, &results));
    Ok(())
}

type Entry = (Client, Runtime, Mode);

fn clients() -> Vec<Entry> {
    [Runtime::Tokio, Runtime::Smol, Runtime::AsyncStd]
        .into_iter()
        .flat_map(|runtime| {
            [
                (Client::AsyncTungstenite, runtime, Mode::Raw),
                (Client::Tidegate, runtime, Mode::Inline),
                (Client::Tidegate, runtime, Mode::Spawned),
            ]
        })
        .collect()
}

fn figures(clients: &[Entry], results: &[Vec<Percentiles>]) -> comfy_table::Table {
    let rows = clients.iter().zip(results).map(|((client, runtime, mode), rounds)| {
        let figures: [fn(&Percentiles) -> f64; 4] =
            [|all| all.p50, |all| all.p99, |all| all.p99_9, |all| all.most];
        let cells = figures.map(|figure| {
            let microseconds = median(rounds.iter().map(|round| figure(round) / 1e3).collect());
            microseconds.map_or("failed".to_owned(), |microseconds| format!("{microseconds:.1}"))
        });
        comfy_table::Row::from([name(client), name(runtime), name(mode)].into_iter().chain(cells))
    });
    table(["client", "runtime", "mode", "p50", "p99", "p99.9", "most"], rows, 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::number;

    #[test]
    fn messages_of_the_warm_up_do_not_count() {
        let mut recorder = LatencyRecorder::new(u64::MAX).unwrap();
        let mut came_after = |late: Duration| {
            let sent = u64::try_from((clock(ClockId::Monotonic) - late).as_nanos()).unwrap();
            recorder.record(std::str::from_utf8(&number(sent, 64)).unwrap()).unwrap();
        };
        for _ in 0..WARM_UP {
            came_after(Duration::from_secs(5));
        }
        came_after(Duration::from_millis(1));
        let percentiles = recorder.percentiles();
        assert!((1e6..5e9).contains(&percentiles.p50), "{percentiles:?}");
        assert!(percentiles.most < 5e9, "{percentiles:?}");
        assert!(recorder.record("soon").is_err());
    }
}
