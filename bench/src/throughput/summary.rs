//! Medians of rounds, and of ratios within rounds.

use serde::Deserialize;

use crate::table::median;

/// The result of a run: the line that a client prints.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(crate) struct Sample {
    pub(crate) msgs_per_s: f64,
    pub(crate) mib_per_s: f64,
    pub(crate) cpu_ns_per_msg: f64,
    pub(crate) peak_rss_kib: f64,
}

/// The samples of a client at a size, one a round; `None` for a failure.
pub(crate) type Cell = Vec<Option<Sample>>;

/// A row for each size, a cell for each client.
pub(crate) type Grid = Vec<Vec<Cell>>;

/// The median of `figure` over all rounds.
pub(crate) fn of(cell: &Cell, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
    median(cell.iter().flatten().map(figure).collect())
}

/// CPU time of `cell` as a multiple of `reference`'s: the median of the ratios within a round, in which a load on the machine
/// slows down both.
pub(crate) fn ratio(cell: &Cell, reference: &Cell) -> Option<f64> {
    let both =
        cell.iter().zip(reference).filter_map(|(ours, theirs)| Some((ours.as_ref()?, theirs.as_ref()?)));
    median(both.map(|(ours, theirs)| ours.cpu_ns_per_msg / theirs.cpu_ns_per_msg).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(cpu: &[f64]) -> Cell {
        let sample = |&cpu_ns_per_msg| Sample {
            msgs_per_s: 1e9 / cpu_ns_per_msg,
            mib_per_s: 1.0,
            cpu_ns_per_msg,
            peak_rss_kib: 1.0,
        };
        cpu.iter().map(|cpu| (*cpu > 0.0).then(|| sample(cpu))).collect()
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // Twice as slow in each round, and a machine that slows down between them.
        assert_eq!(ratio(&cell(&[200.0, 2000.0, 20.0]), &cell(&[100.0, 1000.0, 10.0])), Some(2.0));
        // The ratio of the medians would be 1.
        assert_eq!(ratio(&cell(&[10.0, 20.0, 90.0]), &cell(&[5.0, 30.0, 20.0])), Some(2.0));
    }

    #[test]
    fn rounds_that_failed_are_left_out() {
        assert_eq!(ratio(&cell(&[0.0, 30.0, 40.0]), &cell(&[10.0, 10.0, 0.0])), Some(3.0));
        assert_eq!(ratio(&cell(&[0.0]), &cell(&[10.0])), None);
        assert_eq!(of(&cell(&[0.0, 30.0, 40.0]), |sample| sample.cpu_ns_per_msg), Some(35.0));
    }
}
