//! STRING_AGG: the texts, joined.

use arrow::{array::ArrayRef, datatypes::DataType};
use types::{Result, SqlType};

use super::{
    Limits,
    cell::{CellList, encoded_input},
    collect::merge_lists,
    constant,
    groups::{Fold, Reason, make, value_types},
};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    encoded::{Builder, Reader, corrupt},
    overload::{Param, Shape, resolve},
};
use arrow::array::{Array, AsArray, StringBuilder};
use std::sync::Arc;

/// STRING_AGG.
pub struct StringAgg;

static DOC: FunctionDoc = FunctionDoc {
    name: "STRING_AGG",
    aliases: &["LISTAGG"],
    category: "AGGREGATE",
    signatures: &["STRING_AGG(text, separator)"],
    description: "The texts that are not NULL in the order in which their rows were processed, with the constant \
                  separator between; NULL if there are none. Keeps as many as COLLECT_LIST does.",
    examples: &[("STRING_AGG(value, ', ') of 'a', NULL, 'b'", "a, b")],
};

impl AggregateFunction for StringAgg {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        self.bind_limited(args, literals, &Limits::default())
    }

    fn bind_limited(&self, args: &[ArgType], literals: &[Option<ArrayRef>], limits: &Limits) -> Result<BoundAggregate> {
        let resolved = resolve("STRING_AGG", &[Shape::new(&[Param::String, Param::String])], args)?;
        let separator = constant::text("STRING_AGG", "the separator", literals, 1)?;
        let states = make(JoinFold { separator, entries_max: limits.collect_list_entries, scratch: Vec::new() });
        Ok(BoundAggregate::of_streams(value_types(&resolved), SqlType::String, states).with_same_for_tables())
    }
}

#[derive(Clone)]
struct JoinFold {
    separator: String,
    entries_max: usize,
    scratch: Vec<u8>,
}

impl Fold for JoinFold {
    type State = CellList;
    type Input<'a> = Reader<'a>;
    type Output = StringBuilder;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Reader<'a>> {
        encoded_input(args, 0, &DataType::Utf8)
    }

    fn add(&mut self, state: &mut CellList, input: &Reader<'_>, row: usize, _number: u64) -> Result<(), Reason> {
        if !input.is_null(row) {
            self.scratch.clear();
            input.write(row, &mut self.scratch);
            state.push(&self.scratch, self.entries_max);
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut CellList, input: &Reader<'_>, row: usize) -> Result<(), Reason> {
        self.scratch.clear();
        input.write(row, &mut self.scratch);
        state.remove_first(&self.scratch);
        Ok(())
    }

    fn merge(&self, into: &mut CellList, from: &CellList, from_is_later: bool) {
        merge_lists(into, from, from_is_later, self.entries_max);
    }

    fn output(&self, _capacity: usize) -> StringBuilder {
        StringBuilder::new()
    }

    fn emit(&self, state: &CellList, output: &mut StringBuilder) {
        output.append_option(self.join(state));
    }

    fn finish(&self, mut output: StringBuilder, _rows: usize) -> ArrayRef {
        Arc::new(output.finish())
    }

    fn write(&self, state: &CellList, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<CellList> {
        let list = CellList::read(&DataType::Utf8, input)?;
        if list.iter().any(|value| value == crate::encoded::NULL_BYTES) {
            return Err(corrupt("a NULL is joined"));
        }
        Ok(list)
    }

    fn heap_bytes(state: &CellList) -> usize {
        state.heap_bytes()
    }
}

impl JoinFold {
    /// The texts decoded and joined; `None` if there are none.
    fn join(&self, state: &CellList) -> Option<String> {
        let mut builder = Builder::new(&DataType::Utf8).ok()?;
        for mut value in state.iter() {
            builder.push(&mut value).ok()?;
        }
        let texts = builder.finish().ok()?;
        let texts = texts.as_string_opt::<i32>()?;
        let mut joined = String::new();
        for (at, text) in texts.iter().flatten().enumerate() {
            if at > 0 {
                joined.push_str(&self.separator);
            }
            joined.push_str(text);
        }
        (!texts.is_empty()).then_some(joined)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{bind, check, check_merge};

    #[test]
    fn joins() {
        check(
            "STRING_AGG",
            &["STRING", "=\", \""],
            &["null", "a", "b", "a", "- a"],
            &["null", "a", "a, b", "a, b, a", "b, a"],
        );
        check_merge("STRING_AGG", &["STRING", "=-"], &["a"], &["b"], false, "b-a");
        assert!(bind("STRING_AGG", &["STRING", "STRING"]).is_err());
    }
}
