//! ATTR: the value that all rows of a group have.

use arrow::{array::ArrayRef, datatypes::DataType};
use types::Result;

use super::{
    cell::{Cells, Multiset, encoded_input, finish_column},
    groups::{Fold, Reason, given_types, make},
};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    encoded::{Builder, Reader, corrupt, skip, take},
    overload::{Param, Shape, no_overload},
};

/// ATTR.
pub struct Attr;

static DOC: FunctionDoc = FunctionDoc {
    name: "ATTR",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["ATTR(value)"],
    description: "The value, if all rows have the same one; NULL once there are different ones (NULL is one of \
                  them).",
    examples: &[("ATTR(value) of 'a', 'a'", "a"), ("ATTR(value) of 'a', 'b'", "NULL")],
};

impl AggregateFunction for Attr {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        let types = given_types(args).unwrap_or_default();
        let [ty] = types.as_slice() else {
            return Err(no_overload("ATTR", &[Shape::new(&[Param::Any])], args));
        };
        let arrow = ty.to_arrow();
        let tables = make(RetractableAttrFold { ty: arrow.clone(), scratch: Vec::new() });
        Ok(BoundAggregate::of_streams(types.clone(), ty.clone(), make(AttrFold { ty: arrow, scratch: Vec::new() }))
            .with_tables(tables)
            .like_the_dialect())
    }
}

/// What is known of a group's values.
#[derive(Debug, Default)]
enum Seen {
    #[default]
    Nothing,
    One(Box<[u8]>),
    Different,
}

#[derive(Clone)]
struct AttrFold {
    ty: DataType,
    scratch: Vec<u8>,
}

impl Fold for AttrFold {
    type State = Seen;
    type Input<'a> = Reader<'a>;
    type Output = Builder;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Reader<'a>> {
        encoded_input(args, 0, &self.ty)
    }

    fn add(&mut self, state: &mut Seen, input: &Reader<'_>, row: usize, _number: u64) -> Result<(), Reason> {
        if matches!(state, Seen::Different) {
            return Ok(());
        }
        self.scratch.clear();
        input.write_canonical(row, &mut self.scratch);
        match state {
            Seen::Nothing => *state = Seen::One(self.scratch.as_slice().into()),
            Seen::One(value) if value.as_ref() == self.scratch => {}
            _ => *state = Seen::Different,
        }
        Ok(())
    }

    fn merge(&self, into: &mut Seen, from: &Seen, _from_is_later: bool) {
        match (&*into, from) {
            (_, Seen::Nothing) | (Seen::Different, _) => {}
            (Seen::Nothing, Seen::One(value)) => *into = Seen::One(value.clone()),
            (Seen::One(old), Seen::One(new)) if old == new => {}
            _ => *into = Seen::Different,
        }
    }

    fn output(&self, _capacity: usize) -> Builder {
        Cells::builder(&self.ty)
    }

    fn emit(&self, state: &Seen, output: &mut Builder) {
        let value = match state {
            Seen::One(value) => Some(value.as_ref()),
            _ => None,
        };
        Cells::push(output, value);
    }

    fn finish(&self, output: Builder, rows: usize) -> ArrayRef {
        finish_column(output, &self.ty, rows)
    }

    fn write(&self, state: &Seen, out: &mut Vec<u8>) {
        match state {
            Seen::Nothing => out.push(0),
            Seen::One(value) => {
                out.push(1);
                out.extend_from_slice(value);
            }
            Seen::Different => out.push(2),
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<Seen> {
        match take::<1>(input)? {
            [0] => Ok(Seen::Nothing),
            [1] => Ok(Seen::One(skip(&self.ty, input)?.into())),
            [2] => Ok(Seen::Different),
            _ => Err(corrupt("neither one value nor several")),
        }
    }

    fn heap_bytes(state: &Seen) -> usize {
        if let Seen::One(value) = state { value.len() } else { 0 }
    }
}

/// As [`AttrFold`], when rows go again.
#[derive(Clone)]
struct RetractableAttrFold {
    ty: DataType,
    scratch: Vec<u8>,
}

impl Fold for RetractableAttrFold {
    type State = Multiset;
    type Input<'a> = Reader<'a>;
    type Output = Builder;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Reader<'a>> {
        encoded_input(args, 0, &self.ty)
    }

    fn add(&mut self, state: &mut Multiset, input: &Reader<'_>, row: usize, _number: u64) -> Result<(), Reason> {
        self.scratch.clear();
        input.write_canonical(row, &mut self.scratch);
        state.insert(&self.scratch, 1);
        Ok(())
    }

    fn take_back(&mut self, state: &mut Multiset, input: &Reader<'_>, row: usize) -> Result<(), Reason> {
        self.scratch.clear();
        input.write_canonical(row, &mut self.scratch);
        state.remove(&self.scratch);
        Ok(())
    }

    fn merge(&self, into: &mut Multiset, from: &Multiset, _from_is_later: bool) {
        into.merge(from);
    }

    fn output(&self, _capacity: usize) -> Builder {
        Cells::builder(&self.ty)
    }

    fn emit(&self, state: &Multiset, output: &mut Builder) {
        Cells::push(output, state.first().filter(|_| state.distinct() == 1));
    }

    fn finish(&self, output: Builder, rows: usize) -> ArrayRef {
        finish_column(output, &self.ty, rows)
    }

    fn write(&self, state: &Multiset, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<Multiset> {
        Multiset::read(&self.ty, input)
    }

    fn heap_bytes(state: &Multiset) -> usize {
        state.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{check, check_merge};

    #[test]
    fn the_value_of_all() {
        check("ATTR", &["STRING"], &["a", "a", "b", "- b"], &["a", "a", "null", "a"]);
        check("ATTR", &["INTEGER"], &["1", "2", "1"], &["1", "null", "null"]);
        check("ATTR", &["BOOLEAN"], &["true", "null"], &["true", "null"]);
    }

    #[test]
    fn merges() {
        check_merge("ATTR", &["DOUBLE"], &["1.5"], &["1.5"], true, "1.5");
        check_merge("ATTR", &["DOUBLE"], &["1.5"], &["2.5"], true, "null");
    }
}
