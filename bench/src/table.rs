//! Tables, as Markdown.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Row, Table};

/// A table whose columns from `figures` on hold figures.
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

/// A whole number, its digits in threes.
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

/// A size in the greatest unit that it is a whole number of.
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
