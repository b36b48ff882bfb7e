//! How feeds come back: attempts over time, as the server sees them.

use std::path::Path;

use plotters::prelude::*;

use super::OUTAGE;
use crate::Result;
use crate::machine::Machine;
use crate::table::grouped;

const SIZE: (u32, u32) = (900, 560);
const TITLE: u32 = 50;
const BARS: RGBColor = RGBColor(0x1f, 0x6f, 0xb5);

/// One bar of the chart, in seconds.
const BIN: f64 = 0.1;

/// Draws a panel for each of `waves`: its title, and attempts for each tenth of a second. One scale for all.
pub(crate) fn draw(file: &Path, machine: &Machine, waves: &[(String, Vec<u32>)]) -> Result<()> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let outage = OUTAGE.as_secs_f64();
    let title =
        format!("Attempts per second after the server dropped all feeds and refused them for {outage} s");
    root.draw(&Text::new(title, (10, 8), ("sans-serif", 17)))?;
    root.draw(&Text::new(machine.to_string(), (10, 30), ("sans-serif", 13)))?;
    let (_, body) = root.split_vertically(TITLE);
    let most = waves.iter().flat_map(|(_, bins)| bins).max().copied().unwrap_or(0);
    let most = f64::from(most) / BIN * 1.05 + 1.0;
    let longest = waves.iter().map(|(_, bins)| bins.len()).max().unwrap_or(0) as f64 * BIN;
    for (area, (title, bins)) in body.split_evenly((waves.len().max(1), 1)).iter().zip(waves) {
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 15))
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..longest.max(outage), 0.0..most)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(0)
            .x_desc("seconds since the drop")
            .y_desc("attempts per second")
            .x_label_formatter(&|seconds| format!("{seconds:.0}"))
            .y_label_formatter(&|attempts| grouped(*attempts))
            .draw()?;
        chart.draw_series(bins.iter().enumerate().map(|(at, &attempts)| {
            let from = at as f64 * BIN;
            Rectangle::new([(from, 0.0), (from + BIN * 0.9, f64::from(attempts) / BIN)], BARS.filled())
        }))?;
        chart.draw_series([PathElement::new([(outage, 0.0), (outage, most)], RED)])?;
    }
    Ok(root.present()?)
}
