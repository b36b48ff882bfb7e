//! The tables, and the file.

use serde::Serialize;

use super::roster::{Contender, references};
use super::summary::{Cell, Grid, of, ratio};
use crate::Result;
use crate::table::{grouped, in_bytes, name, table};

/// What is told of a client at a size: its cell, and that of its reference.
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

/// All that was measured, as Markdown.
pub(crate) fn tables(contenders: &[Contender], sizes: &[usize], grid: &Grid) -> String {
    TABLES
        .map(|(title, figure)| format!("{title}:\n\n{}\n\n", rows(contenders, sizes, grid, figure)))
        .concat()
}

fn rows(contenders: &[Contender], sizes: &[usize], grid: &Grid, figure: Figure) -> comfy_table::Table {
    let header = ["client", "runtime", "mode"].map(str::to_owned).into_iter();
    let header = header.chain(sizes.iter().map(|size| in_bytes(*size)));
    let references = references(contenders);
    let rows = contenders.iter().enumerate().map(|(at, contender)| {
        let cells = grid.iter().map(|row| {
            let reference = references[at].map(|reference| &row[reference]);
            figure(&row[at], reference).unwrap_or_else(|| "failed".to_owned())
        });
        let names = [contender.client.clone(), name(&contender.runtime), name(&contender.mode)];
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

/// The file: an array with an object for each client at each size, medians all.
pub(crate) fn json(contenders: &[Contender], sizes: &[usize], grid: &Grid) -> Result<String> {
    let mut rows = Vec::new();
    for (&size, row) in sizes.iter().zip(grid) {
        rows.extend(contenders.iter().zip(row).filter_map(|(contender, cell)| {
            Some(Row {
                client: &contender.client,
                runtime: name(&contender.runtime),
                transport: contender.transport,
                mode: name(&contender.mode),
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
