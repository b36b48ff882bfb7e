//! Instructions per message, counted by valgrind. The figures do not depend on the load of the machine, so they have bounds.

mod bounds;
mod callgrind;
mod memory;
mod scenario;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use clap::{Args, ValueEnum};

use crate::Result;
use crate::table::{grouped, name, table};
use bounds::{Bounds, Verdict};
use scenario::Figure;
pub(crate) use scenario::{Extent, Scenario};

/// Options of the count of instructions.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Fails if a figure is more than 5 % above its bound in bench/instructions.json
    #[arg(long)]
    pub(crate) check: bool,
    /// Writes the figures to bench/instructions.json as the new bounds
    #[arg(long, conflicts_with = "check")]
    pub(crate) accept: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut bounds = Bounds::read()?;
    let figures = measure(Extent::All)?;
    println!("{}", report(&figures, &bounds));
    if options.accept {
        bounds.accept(&figures);
        return bounds.write();
    }
    if !options.check {
        return Ok(());
    }
    let mut faults = Vec::new();
    for figure in &figures {
        match bounds.judge(figure) {
            Verdict::Within => {}
            Verdict::Below(text) => println!("{text}"),
            Verdict::Above(text) => faults.push(text),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\nerror: ").into()) }
}

/// The table for a run that shows other figures too, or the reason why there is none.
pub(crate) fn section(extent: Extent) -> Result<String> {
    if let Err(error) = callgrind::usable() {
        return Ok(format!("Instructions per message: left out, {error}\n"));
    }
    Ok(format!("Instructions per message:\n\n{}", report(&measure(extent)?, &Bounds::read()?)))
}

/// Runs a scenario, in a process of its own under callgrind.
pub(crate) fn client(scenario: Scenario, size: usize, count: u64) -> Result<()> {
    scenario::run(scenario, size, count)?;
    println!("{}", callgrind::DONE);
    Ok(())
}

fn measure(extent: Extent) -> Result<Vec<Figure>> {
    callgrind::usable()?;
    let cases: Vec<_> = Scenario::value_variants()
        .iter()
        .flat_map(|scenario| scenario.sizes(extent).iter().map(|size| (*scenario, *size)))
        .collect();
    let figures: Vec<_> = cases.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    // In parallel: the load of the machine changes no count.
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((&(scenario, size), figure)) = cases.get(at).zip(figures.get(at)) else { break };
                    *figure.lock().expect("nobody panics with it") = Some(figure_of(scenario, size));
                }
            });
        }
    });
    figures.into_iter().filter_map(|figure| figure.into_inner().expect("nobody panics with it")).collect()
}

/// The difference of two runs, so that start and end do not count.
fn figure_of(scenario: Scenario, size: usize) -> Result<Figure> {
    let run = |count: usize| {
        callgrind::count(&[name(&scenario), size.to_string(), count.to_string()])
            .map_err(|error| format!("{}: {error}", scenario.title(size)))
    };
    let (shorter, longer) = scenario.counts(size);
    let more = run(longer)?.checked_sub(run(shorter)?).ok_or("the longer run took fewer instructions")?;
    Ok(Figure { scenario, size, instructions: more as f64 / (longer - shorter) as f64 })
}

fn report(figures: &[Figure], bounds: &Bounds) -> String {
    let rows = figures.iter().map(|figure| {
        let bound = bounds.of(figure);
        let raw = figures.iter().find(|raw| raw.scenario == Scenario::Raw && raw.size == figure.size);
        let raw = raw.filter(|_| figure.scenario.is_connection());
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            name(&figure.scenario),
            figure.scenario.size(figure.size),
            or_none(bound.map(grouped)),
            grouped(figure.instructions),
            or_none(bound.map(|bound| format!("{:.3}", figure.instructions / bound))),
            or_none(raw.map(|raw| format!("{:.2}", figure.instructions / raw.instructions))),
        ]
    });
    let header = ["scenario", "size", "committed", "now", "now/committed", "now/raw"];
    format!("{}\n", table(header, rows, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_compared_with_raw_at_its_size_if_it_is_a_connection() {
        let figure = |scenario, size, instructions| Figure { scenario, size, instructions };
        let figures = [
            figure(Scenario::Core, 64, 50.0),
            figure(Scenario::Raw, 64, 1000.0),
            figure(Scenario::Inline, 64, 1250.0),
            figure(Scenario::Inline, 1024, 2000.0),
        ];
        let printed = report(&figures, &Bounds::default());
        let ratios: Vec<_> = printed.lines().skip(2).filter_map(|line| line.rsplit('|').nth(1)).collect();
        assert_eq!(ratios.iter().map(|ratio| ratio.trim()).collect::<Vec<_>>(), ["-", "1.00", "1.25", "-"]);
    }
}
