//! WINDOW: `TUMBLING (SIZE …)`, `HOPPING (SIZE …, ADVANCE BY …)`, `SESSION (…)`, with RETENTION and GRACE PERIOD.

use types::Result;

use crate::{
    ast::{Window, WindowKind},
    parser::Parser,
};

impl Parser<'_> {
    /// What follows WINDOW. A name before the kind is allowed and means nothing.
    pub(super) fn window(&mut self) -> Result<Window> {
        let mark = self.mark() - 1;
        if self.is_name(0) && ["TUMBLING", "HOPPING", "SESSION"].iter().any(|kind| self.is_word(1, kind)) {
            self.advance();
        }
        let kind = if self.accept("TUMBLING") {
            self.expect_symbol("(")?;
            self.expect("SIZE")?;
            WindowKind::Tumbling { size_ms: self.duration_ms(false)? }
        } else if self.accept("HOPPING") {
            self.expect_symbol("(")?;
            self.expect("SIZE")?;
            let size_ms = self.duration_ms(false)?;
            self.expect_symbol(",")?;
            self.expect("ADVANCE")?;
            self.expect("BY")?;
            WindowKind::Hopping { size_ms, advance_ms: self.duration_ms(false)? }
        } else if self.accept("SESSION") {
            self.expect_symbol("(")?;
            WindowKind::Session { gap_ms: self.duration_ms(false)? }
        } else {
            return Err(self.unexpected());
        };
        let (mut retention_ms, mut grace_ms) = (None, None);
        while self.accept_symbol(",") {
            if retention_ms.is_none() && self.accept("RETENTION") {
                retention_ms = Some(self.duration_ms(false)?);
            } else if grace_ms.is_none() && self.accept_two("GRACE PERIOD") {
                grace_ms = Some(self.duration_ms(true)?);
            } else {
                return Err(self.unexpected());
            }
        }
        self.expect_symbol(")")?;
        Ok(Window { kind, retention_ms, grace_ms, span: self.span_from(mark) })
    }
}
