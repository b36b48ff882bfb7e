//! What tidegate took of the CPU in an earlier run, beside what it takes now, both as multiples of async-tungstenite.

use std::path::{Path, PathBuf};

use comfy_table::Row;
use serde::Deserialize;

use super::roster::{Contender, references};
use super::summary::{Grid, ratio};
use crate::Result;
use crate::args::name;
use crate::table::{in_bytes, table};

const DEFAULT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/before.json");

/// An earlier run: a file that `--json` wrote.
#[derive(Debug)]
pub(crate) struct Before {
    file: PathBuf,
    samples: Vec<Sample>,
}

/// What is looked at of a row of the file.
#[derive(Debug, Deserialize)]
struct Sample {
    client: String,
    runtime: String,
    mode: String,
    size: usize,
    cpu_ns_per_msg: f64,
}

impl Before {
    /// Reads `file`; without one the default, if that is there.
    pub(crate) fn read(file: Option<&Path>) -> Result<Option<Self>> {
        let default = Path::new(DEFAULT);
        if file.is_none() && !default.exists() {
            return Ok(None);
        }
        let file = file.unwrap_or(default);
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
        let samples = serde_json::from_str(&text).map_err(|error| named(&error))?;
        Ok(Some(Self { file: file.to_owned(), samples }))
    }

    /// Then and now, for the clients of ours; nothing if none of them takes part.
    pub(crate) fn table(&self, contenders: &[Contender], sizes: &[usize], grid: &Grid) -> Option<String> {
        let references = references(contenders);
        let ours: Vec<_> = contenders.iter().enumerate().filter(|(_, one)| one.is_tidegate()).collect();
        if ours.is_empty() {
            return None;
        }
        let rows = ours.into_iter().map(|(at, contender)| {
            let reference = references[at];
            let cells = sizes.iter().zip(grid).map(|(&size, row)| {
                let now = reference.and_then(|reference| ratio(&row[at], &row[reference]));
                let then =
                    reference.and_then(|reference| self.ratio(contender, &contenders[reference], size));
                format!("{} -> {}", figure(then), figure(now))
            });
            let names = [contender.client.clone(), name(&contender.runtime), name(&contender.mode)];
            Row::from(names.into_iter().chain(cells))
        });
        let header = ["client", "runtime", "mode"].map(str::to_owned).into_iter();
        let table = table(header.chain(sizes.iter().map(|size| in_bytes(*size))), rows, 3);
        let file = self.file.file_name().unwrap_or_default().to_string_lossy();
        Some(format!("CPU as a multiple of async-tungstenite's, in {file} -> now:\n\n{table}\n"))
    }

    fn ratio(&self, ours: &Contender, theirs: &Contender, size: usize) -> Option<f64> {
        Some(self.cpu(ours, size)? / self.cpu(theirs, size)?)
    }

    fn cpu(&self, contender: &Contender, size: usize) -> Option<f64> {
        let (runtime, mode) = (name(&contender.runtime), name(&contender.mode));
        let found = self.samples.iter().find(|sample| {
            sample.client == contender.client
                && sample.runtime == runtime
                && sample.mode == mode
                && sample.size == size
        });
        found.map(|sample| sample.cpu_ns_per_msg)
    }
}

fn figure(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Runtime, Threads};
    use crate::throughput::{Sample as Round, roster};

    fn row(client: &str, mode: &str, cpu_ns_per_msg: f64) -> Sample {
        let (client, runtime, mode) = (client.to_owned(), "smol".to_owned(), mode.to_owned());
        Sample { client, runtime, mode, size: 64, cpu_ns_per_msg }
    }

    #[test]
    fn then_stands_beside_now() {
        let contenders: Vec<_> = roster::own(Threads::default())
            .into_iter()
            .filter(|one| one.runtime == Runtime::Smol && !one.client.ends_with("-json"))
            .collect();
        let samples = vec![row("async-tungstenite", "raw", 100.0), row("tidegate", "inline", 150.0)];
        let before = Before { file: "dir/then.json".into(), samples };
        let cell = |cpu_ns_per_msg| {
            vec![Some(Round { msgs_per_s: 1.0, mib_per_s: 1.0, cpu_ns_per_msg, peak_rss_kib: 1.0 })]
        };
        let grid = vec![vec![cell(10.0), cell(11.0), cell(12.0), cell(30.0)]];
        let printed = before.table(&contenders, &[64], &grid).unwrap();
        let lines: Vec<_> = printed.lines().collect();
        assert!(lines[0].contains("then.json"), "{printed}");
        let cells: Vec<_> = lines[4..].iter().filter_map(|line| line.rsplit('|').nth(1)).collect();
        let cells: Vec<_> = cells.iter().map(|cell| cell.trim()).collect();
        assert_eq!(cells, ["1.50 -> 1.20", "- -> 3.00"]);
    }

    #[test]
    fn without_a_client_of_ours_there_is_no_table() {
        let before = Before { file: PathBuf::new(), samples: vec![] };
        let raw = &roster::own(Threads::default())[..2];
        assert!(before.table(raw, &[64], &vec![vec![vec![], vec![]]]).is_none());
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there() {
        let error = Before::read(Some(Path::new("no-such-file.json"))).unwrap_err();
        assert!(error.to_string().contains("no-such-file.json"), "{error}");
    }
}
