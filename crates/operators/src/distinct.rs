//! SELECT DISTINCT, behind the grouping: what comes again is not news.
//!
//! Input: a table all of whose columns are its key, with old values. Output: the same without updates, which cannot have
//! changed anything; so a row comes once and goes once. State: none. Order: kept. Time: of the change that made the row.

use arrow::{array::BooleanArray, datatypes::SchemaRef};
use types::Result;

use crate::{Change, ChangeBatch, Operator, StepContext};

/// See the module.
pub struct Distinct {
    schema: SchemaRef,
}

impl Distinct {
    /// Over rows of `schema`.
    pub fn new(schema: SchemaRef) -> Distinct {
        Distinct { schema }
    }
}

impl Operator for Distinct {
    fn name(&self) -> &'static str {
        "Distinct"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, _: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let Some(input) = inputs.pop() else { return Ok(ChangeBatch::empty(&self.schema)) };
        let is_news = |row: usize| !matches!(input.op(row), Change::UpdateBefore | Change::UpdateAfter);
        let news: Vec<bool> = (0..input.len()).map(is_news).collect();
        if news.iter().all(|n| *n) {
            return Ok(input);
        }
        input.filter(&BooleanArray::from(news))
    }
}
