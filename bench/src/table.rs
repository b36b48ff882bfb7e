//! How results are shown: medians, numbers, sizes, names, and Markdown tables.

use clap::ValueEnum;
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Row, Table};

/// A table whose columns from number `figures` on hold figures.
pub(crate) fn table(
    header: impl Into<Row>,
    rows: impl IntoIterator<Item = impl Into<Row>>,
    figures: usize,
) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header).add_rows(rows);
    for column in table.column_iter_mut().skip(figures) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The median of `values`: the middle one, or the mean of the two in the middle; `None` if there are none.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

/// The name of a value on the command line, in tables and in files.
pub(crate) fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// A whole number, its digits in groups of three.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes, in the largest unit that divides it.
pub(crate) fn in_bytes(size: usize) -> String {
    match (size % (1 << 20), size % (1 << 10)) {
        (0, _) => format!("{} MiB", size >> 20),
        (_, 0) => format!("{} KiB", size >> 10),
        (_, _) => format!("{size} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![7.0]), Some(7.0));
        assert_eq!(median(vec![9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(vec![4.0, 1.0, 9.0, 2.0]), Some(3.0));
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!([7.4, 999.6, 1_234_567.0].map(grouped), ["7", "1,000", "1,234,567"]);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([16, 1 << 10, 3 << 20, 1500].map(in_bytes), ["16 B", "1 KiB", "3 MiB", "1500 B"]);
    }

    #[test]
    fn figures_are_set_to_the_right() {
        let table = table(["name", "ns"], [["a", "7"], ["b", "123"]], 1).to_string();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[0], "| name |  ns |");
        assert_eq!(lines[2], "| a    |   7 |");
    }
}
