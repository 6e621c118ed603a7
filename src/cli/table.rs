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
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    })
}
