//! The tables and the JSON file.

use serde::Serialize;

use super::candidates::{Candidate, references};
use super::summary::{Cell, Grid, of, ratio};
use crate::Result;
use crate::table::{grouped, in_bytes, name, table};

/// The text of a client at a size, from its samples and those of its reference.
type Figure = fn(&Cell, Option<&Cell>) -> Option<String>;

const TABLES: [(&str, Figure); 4] = [
    (
        "CPU nanoseconds per message, and how many times that of async-tungstenite on the same runtime",
        |cell, reference| {
            let cpu = of(cell, |sample| sample.cpu_ns_per_msg)?;
            let times = reference.and_then(|reference| ratio(cell, reference));
            let times = times.map_or("-".to_owned(), |times| format!("{times:.2}"));
            Some(format!("{} ({times})", grouped(cpu)))
        },
    ),
    ("Messages per second", |cell, _| Some(grouped(of(cell, |sample| sample.msgs_per_s)?))),
    ("MiB per second", |cell, _| Some(grouped(of(cell, |sample| sample.mib_per_s)?))),
    ("Peak memory in KiB", |cell, _| Some(grouped(of(cell, |sample| sample.peak_rss_kib)?))),
];

/// All figures, as Markdown.
pub(crate) fn tables(candidates: &[Candidate], sizes: &[usize], grid: &Grid) -> String {
    TABLES
        .map(|(title, figure)| format!("{title}:\n\n{}\n\n", rows(candidates, sizes, grid, figure)))
        .concat()
}

fn rows(candidates: &[Candidate], sizes: &[usize], grid: &Grid, figure: Figure) -> comfy_table::Table {
    let header = ["client", "runtime", "mode"].map(str::to_owned).into_iter();
    let header = header.chain(sizes.iter().map(|size| in_bytes(*size)));
    let references = references(candidates);
    let rows = candidates.iter().enumerate().map(|(at, candidate)| {
        let cells = grid.iter().map(|row| {
            let reference = references[at].map(|reference| &row[reference]);
            figure(&row[at], reference).unwrap_or_else(|| "failed".to_owned())
        });
        let names = [candidate.client.clone(), name(&candidate.runtime), name(&candidate.mode)];
        comfy_table::Row::from(names.into_iter().chain(cells))
    });
    table(header, rows, 3)
}

/// One client at one size in the file.
#[derive(Serialize)]
struct Row<'a> {
    client: &'a str,
    runtime: String,
    transport: &'a str,
    mode: String,
    size: usize,
    rounds: usize,
    cpu_ns_per_msg: f64,
    msgs_per_s: f64,
    peak_rss_kib: f64,
}

/// The file: an array of an object for each client at each size. All figures are medians.
pub(crate) fn json(candidates: &[Candidate], sizes: &[usize], grid: &Grid) -> Result<String> {
    let mut rows = Vec::new();
    for (&size, row) in sizes.iter().zip(grid) {
        rows.extend(candidates.iter().zip(row).filter_map(|(candidate, cell)| {
            Some(Row {
                client: &candidate.client,
                runtime: name(&candidate.runtime),
                transport: candidate.transport,
                mode: name(&candidate.mode),
                size,
                rounds: cell.iter().flatten().count(),
                cpu_ns_per_msg: of(cell, |sample| sample.cpu_ns_per_msg)?,
                msgs_per_s: of(cell, |sample| sample.msgs_per_s)?,
                peak_rss_kib: of(cell, |sample| sample.peak_rss_kib)?,
            })
        }));
    }
    Ok(serde_json::to_string_pretty(&rows)? + "\n")
}
