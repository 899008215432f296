//! Tables for eyes.

/// Rows below a head, each column as wide as its widest cell; columns that `right` names stand to the right.
pub(super) fn table(head: &[&str], rows: &[Vec<String>], right: &[usize]) -> Vec<String> {
    let letters = |text: &str| text.chars().count();
    let widest = |column: usize| rows.iter().map(|row| letters(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = head.iter().enumerate().map(|(column, name)| widest(column).max(letters(name))).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&widths).enumerate().map(|(column, (cell, width))| match right.contains(&column) {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head = line(&mut head.iter().copied());
    std::iter::once(head).chain(rows.iter().map(|row| line(&mut row.iter().map(String::as_str)))).collect()
}
