//! The chart: a panel for each size, a bar for each client on tokio.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::roster::{Contender, Reference};
use super::summary::{Cell, Grid, of};
use crate::Result;
use crate::args::{Mode, Runtime, name};
use crate::machine::Machine;
use crate::table::{grouped, in_bytes};

const TIDEGATE: RGBColor = RGBColor(0x1f, 0x6f, 0xb5);
const OTHERS: RGBColor = RGBColor(0xa8, 0xb0, 0xb8);
const FLOOR: RGBColor = RGBColor(0xd9, 0xc2, 0x7a);
const INK: RGBColor = RGBColor(0x22, 0x26, 0x2a);

/// Pixels.
const PANEL_WIDTH: u32 = 470;
const LABELS: i32 = 190;
const FIGURES: i32 = 70;
const ROW: i32 = 18;
const HEAD: i32 = 30;
const TITLE: u32 = 56;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

struct Bar {
    label: String,
    color: RGBColor,
    nanoseconds: f64,
}

/// Draws what a message takes of the CPU into `file`.
pub(crate) fn draw(
    file: &Path,
    machine: &Machine,
    contenders: &[Contender],
    sizes: &[usize],
    grid: &Grid,
) -> Result<()> {
    let panels: Vec<_> = grid.iter().map(|row| bars(contenders, row)).collect();
    let columns = sizes.len().clamp(1, 3);
    let rows = sizes.len().div_ceil(columns).max(1);
    let most = panels.iter().map(Vec::len).max().unwrap_or(0);
    let panel_height = HEAD + ROW * i32::try_from(most)? + ROW;
    let width = PANEL_WIDTH * u32::try_from(columns)?;
    let height = TITLE + u32::try_from(panel_height)? * u32::try_from(rows)?;
    let root = SVGBackend::new(file, (width, height)).into_drawing_area();
    root.fill(&WHITE)?;
    text(
        &root,
        "CPU time per message, user and system, in nanoseconds: shorter is better",
        (10, 18),
        17,
        HPos::Left,
    )?;
    text(&root, &machine.to_string(), (10, 40), 13, HPos::Left)?;
    let (_, body) = root.split_vertically(TITLE);
    for ((area, &size), bars) in body.split_evenly((rows, columns)).iter().zip(sizes).zip(&panels) {
        panel(area, &in_bytes(size), bars)?;
    }
    Ok(root.present()?)
}

/// Those on tokio, or on no runtime, that do not parse JSON; the cheapest first.
fn bars(contenders: &[Contender], row: &[Cell]) -> Vec<Bar> {
    let mut bars: Vec<_> = contenders
        .iter()
        .zip(row)
        .filter(|(contender, _)| contender.reference == Reference::Plain)
        .filter_map(|(contender, cell)| {
            let nanoseconds = of(cell, |sample| sample.cpu_ns_per_msg)?;
            let (label, color) = match contender.runtime {
                Runtime::None => (contender.client.clone(), FLOOR),
                Runtime::Tokio => {
                    let color = if contender.is_tidegate() { TIDEGATE } else { OTHERS };
                    (label(contender), color)
                }
                Runtime::Smol | Runtime::AsyncStd => return None,
            };
            Some(Bar { label, color, nanoseconds })
        })
        .collect();
    bars.sort_by(|a, b| a.nanoseconds.total_cmp(&b.nanoseconds));
    bars
}

fn label(contender: &Contender) -> String {
    match contender.mode {
        Mode::Raw => contender.client.clone(),
        Mode::Inline | Mode::Spawned => format!("{} {}", contender.client, name(&contender.mode)),
    }
}

fn panel(area: &Area<'_>, title: &str, bars: &[Bar]) -> Result<()> {
    text(area, title, (LABELS, HEAD / 2), 15, HPos::Left)?;
    let longest = bars.iter().map(|bar| bar.nanoseconds).fold(f64::MIN_POSITIVE, f64::max);
    let room = f64::from(i32::try_from(PANEL_WIDTH)? - LABELS - FIGURES);
    for (row, bar) in (0..).zip(bars) {
        let top = HEAD + ROW * row;
        let middle = top + ROW / 2;
        // Within the panel, and so within what an i32 holds.
        let end = LABELS + (room * bar.nanoseconds / longest).round() as i32;
        area.draw(&Rectangle::new(
            [(LABELS, top + 2), (end.max(LABELS + 1), top + ROW - 2)],
            bar.color.filled(),
        ))?;
        text(area, &bar.label, (LABELS - 6, middle), 12, HPos::Right)?;
        text(area, &grouped(bar.nanoseconds), (end + 6, middle), 12, HPos::Left)?;
    }
    Ok(())
}

fn text(area: &Area<'_>, text: &str, at: (i32, i32), size: i32, side: HPos) -> Result<()> {
    let style = ("sans-serif", size).into_font().color(&INK).pos(Pos::new(side, VPos::Center));
    Ok(area.draw(&Text::new(text.to_owned(), at, style))?)
}
