//! Rows as text in aligned columns.

use std::io::{self, Write};

/// Rows of one result on their way to the terminal.
pub struct Table {
    names: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    /// Set once the first rows were shown: those that follow keep these widths.
    widths: Option<Vec<usize>>,
    shown: usize,
}

impl Table {
    /// A result with these columns.
    pub fn new(names: Vec<String>) -> Table {
        Table { names, rows: vec![], widths: None, shown: 0 }
    }

    /// One more row.
    pub fn push(&mut self, row: Vec<Option<String>>) {
        self.rows.push(row);
    }

    /// Show what has come since the last time.
    ///
    /// # Errors
    /// The writer's.
    pub fn show(&mut self, out: &mut impl Write) -> io::Result<()> {
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|r| r.get(at)).map(|c| c.as_ref().map_or(0, |c| c.chars().count()));
            cells.max().unwrap_or(0).max(self.names.get(at).map_or(0, |n| n.chars().count()))
        };
        if self.widths.is_none() {
            let widths: Vec<usize> = (0..self.names.len()).map(width).collect();
            let names: Vec<Option<String>> = self.names.iter().map(|n| Some(n.clone())).collect();
            line(out, &names, &widths)?;
            let rule: Vec<String> = widths.iter().map(|w| "-".repeat(w + 2)).collect();
            writeln!(out, "{}", rule.join("+"))?;
            self.widths = Some(widths);
        }
        let widths = self.widths.clone().unwrap_or_default();
        for row in self.rows.drain(..) {
            line(out, &row, &widths)?;
            self.shown += 1;
        }
        out.flush()
    }

    /// Show the rest and how many rows there were.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        self.show(out)?;
        writeln!(out, "({} row{})", self.shown, if self.shown == 1 { "" } else { "s" })
    }
}

fn line(out: &mut impl Write, cells: &[Option<String>], widths: &[usize]) -> io::Result<()> {
    let cell = |(cell, width): (&Option<String>, &usize)| {
        let text = cell.as_deref().unwrap_or("");
        format!(" {text}{} ", " ".repeat(width.saturating_sub(text.chars().count())))
    };
    let cells: Vec<String> = cells.iter().zip(widths).map(cell).collect();
    writeln!(out, "{}", cells.join("|").trim_end())
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(vec!["id".into(), "n".into()]);
        table.push(vec![Some("länger".into()), None]);
        table.push(vec![Some("x".into()), Some("1".into())]);
        let mut out = vec![];
        table.finish(&mut out).expect("writes");
        assert_eq!(String::from_utf8_lossy(&out), " id     | n\n--------+---\n länger |\n x      | 1\n(2 rows)\n");
    }
}
