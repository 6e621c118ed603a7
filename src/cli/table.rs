//! Tables on a terminal: each column as wide as its widest cell, two blanks between columns.

/// A line for the head and one for each row.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    lines(head, rows).map(|line| line + "\n").collect()
}

/// The same, for whoever writes something between its lines.
pub(super) fn lines<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> impl Iterator<Item = String> {
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows);
    let widths: [usize; N] =
        std::array::from_fn(|column| lines.iter().map(|row| row[column].chars().count()).max().unwrap_or_default());
    lines.into_iter().map(move |row| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| filled_up(cell, width)).collect();
        cells.join("  ").trim_end().to_owned()
    })
}

/// Rust's own formatter panics for widths above 65535, and a label may be as long as whoever posts it likes.
fn filled_up(cell: &str, width: usize) -> String {
    let missing = width.saturating_sub(cell.chars().count());
    cell.to_owned() + &" ".repeat(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell_however_wide_that_is() {
        let wide = "é".repeat(70_000);
        let written = table(["a", "b"], [[wide.clone(), "1".to_owned()], ["x".to_owned(), "2".to_owned()]]);
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines[1], format!("{wide}  1"));
        assert_eq!(lines[2], format!("x{}  2", " ".repeat(69_999)));
    }
}
