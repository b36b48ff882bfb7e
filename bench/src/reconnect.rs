//! Time until a feed is Live again, beyond the retry delay, when the server drops a connection and accepts the next at once.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Result;
use crate::args::{Mode, Reconnect, Runtime};
use crate::machine::Machine;
use crate::process::{Process, Server, arg, own};
use crate::server::path::Path;
use crate::table::{name, table};

/// How long each connection lasts.
const UP: Duration = Duration::from_millis(20);

/// How long one reconnect may take beyond its delay before the harness gives up.
const TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) fn run(options: &Reconnect) -> Result<()> {
    let server = Server::start(1)?;
    let url = server.url(Path::Flap { after: UP });
    let mut rows = Vec::new();
    for runtime in [Runtime::Tokio, Runtime::Smol, Runtime::AsyncStd] {
        for mode in [Mode::Inline, Mode::Spawned] {
            eprintln!("{}, {}", name(&runtime), name(&mode));
            let mut command = own("reconnect-client", options.threads)?;
            arg(&mut command, &runtime);
            arg(&mut command, &mode);
            command.args([&url, &options.count.to_string(), &options.delay_ms.to_string()]);
            let delay = Duration::from_millis(options.delay_ms);
            let timeout = (UP + delay + TIMEOUT) * (options.count + 1);
            let beyond: Vec<f64> = Process::start(&mut command)?.json(timeout)?;
            let cells = milliseconds(&beyond)?.map(|milliseconds| format!("{milliseconds:.2}"));
            rows.push(comfy_table::Row::from([name(&runtime), name(&mode)].into_iter().chain(cells)));
        }
    }
    println!("{}, {} reconnects, {} ms apart\n", Machine::here(), options.count, options.delay_ms);
    println!("Milliseconds from the end of the connection to Live, beyond the delay:\n");
    println!("{}", table(["runtime", "mode", "median", "p99", "most"], rows, 2));
    Ok(())
}

/// Median, 99th percentile and maximum of these seconds.
fn milliseconds(seconds: &[f64]) -> Result<[f64; 3]> {
    let mut microseconds = Histogram::<u64>::new(3)?;
    for second in seconds {
        microseconds.record(u64::try_from(Duration::try_from_secs_f64(*second)?.as_micros())?)?;
    }
    let at = |quantile| microseconds.value_at_quantile(quantile) as f64 / 1e3;
    Ok([at(0.5), at(0.99), at(1.0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_end_of_what_was_measured() {
        let seconds: Vec<_> = (1..=100).map(|ms| f64::from(ms) / 1e3).collect();
        let near = |value: f64, expected: f64| (value - expected).abs() < 0.1;
        let [median, p99, most] = milliseconds(&seconds).unwrap();
        assert!(near(median, 50.0) && near(p99, 99.0) && near(most, 100.0), "{median} {p99} {most}");
        assert!(milliseconds(&[-1.0]).is_err());
    }
}
