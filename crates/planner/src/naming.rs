//! Names of columns that were not given one.
//!
//! An alias is the name; a column keeps its own; `s->f` is called `F`, or `F_1` if that is taken; everything else is
//! `KSQL_COL_0`, `KSQL_COL_1`, …. Names of the sources' columns count as taken, so that a query over the result of a
//! query does not run into its own generated names.

use std::collections::BTreeSet;

/// What generated names begin with.
const GENERATED: &str = "KSQL_COL_";

/// Gives names for one select list, from left to right.
#[derive(Debug, Clone, Default)]
pub struct Namer {
    taken: BTreeSet<String>,
    next: usize,
}

impl Namer {
    /// A namer that avoids the names in `taken`.
    pub fn new(taken: impl IntoIterator<Item = String>) -> Namer {
        Namer { taken: taken.into_iter().collect(), next: 0 }
    }

    /// The name of an expression: `KSQL_COL_n`, with the lowest n that was not used.
    pub fn column(&mut self) -> String {
        loop {
            let name = format!("{GENERATED}{}", self.next);
            self.next += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }

    /// The name of `…->field`: the field's, with a number behind it if that name is taken.
    pub fn field(&mut self, field: &str) -> String {
        if self.taken.insert(field.to_owned()) {
            return field.to_owned();
        }
        let free = (1_usize..).map(|n| format!("{field}_{n}")).find(|name| !self.taken.contains(name));
        let name = free.unwrap_or_else(|| field.to_owned());
        self.taken.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_not_given_twice() {
        let mut namer = Namer::new(["ITEMID".to_owned(), "KSQL_COL_1".to_owned()]);
        assert_eq!(namer.column(), "KSQL_COL_0");
        assert_eq!(namer.column(), "KSQL_COL_2");
        assert_eq!(namer.field("ITEMID"), "ITEMID_1");
        assert_eq!(namer.field("ITEMID"), "ITEMID_2");
        assert_eq!(namer.field("NAME"), "NAME");
        assert_eq!(namer.field("NAME"), "NAME_1");
    }
}
