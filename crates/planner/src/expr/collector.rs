//! Where row errors go while an expression is evaluated.
//!
//! DataFusion's `PhysicalExpr::evaluate` has no place for "this row failed", so our expressions report on the side, to
//! a collector of the current thread. Whoever evaluates opens one with [`capture`]; expressions that evaluate parts of
//! theirs for only some of the rows (CASE, AND, OR, lambdas) open an inner one and hand on what concerns them, with the
//! row numbers of their own batch. Outside of any collector (a UDF inside of a DataFusion plan) reports are dropped.

use std::cell::{Cell, RefCell};

use functions::RowErrors;

thread_local! {
    static REPORTED: RefCell<Vec<(usize, String)>> = const { RefCell::new(Vec::new()) };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Puts the outer collector back, also when what runs in between panics.
struct Outer {
    saved: Vec<(usize, String)>,
}

impl Outer {
    fn enter() -> Outer {
        DEPTH.with(|d| d.set(d.get() + 1));
        Outer { saved: REPORTED.with(RefCell::take) }
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        DEPTH.with(|d| d.set(d.get().saturating_sub(1)));
        REPORTED.with(|r| r.replace(std::mem::take(&mut self.saved)));
    }
}

/// Run `evaluate` with a collector of its own; its result and what was reported: (row, reason).
pub(crate) fn capture<T>(evaluate: impl FnOnce() -> T) -> (T, Vec<(usize, String)>) {
    let outer = Outer::enter();
    let result = evaluate();
    let reported = REPORTED.with(RefCell::take);
    drop(outer);
    (result, reported)
}

/// Report what a kernel collected.
pub(crate) fn report(errors: RowErrors) {
    report_rows(errors.rows);
}

/// Report (row, reason) pairs.
pub(crate) fn report_rows(rows: Vec<(usize, String)>) {
    if rows.is_empty() || DEPTH.with(Cell::get) == 0 {
        return;
    }
    REPORTED.with(|r| {
        let mut reported = r.borrow_mut();
        if reported.is_empty() {
            *reported = rows;
        } else {
            reported.extend(rows);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_collectors_do_not_leak() {
        report_rows(vec![(9, "nobody listens".into())]);
        let (inner, outer) = capture(|| {
            report_rows(vec![(1, "before".into())]);
            let ((), inner) = capture(|| report_rows(vec![(7, "inside".into())]));
            report_rows(vec![(2, "after".into())]);
            inner
        });
        assert_eq!(inner, [(7, "inside".to_owned())]);
        assert_eq!(outer, [(1, "before".to_owned()), (2, "after".to_owned())]);
    }
}
