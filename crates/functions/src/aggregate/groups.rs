//! The frame that all aggregate functions share: a function says in a [`Fold`] how one group's state takes a row;
//! [`PerGroup`] keeps a dense vector of such states and is the [`GroupStates`] that operators see.
//!
//! The loop over a batch is compiled for each function: its columns are opened once, then a row costs the state's
//! look-up and the fold itself, without a call through a table or a downcast.

use std::sync::Arc;

use arrow::array::ArrayRef;
use types::{Error, Result, SqlType};

use crate::{
    ArgType, BoundAggregate, GroupStates, MakeStates, RowErrors,
    encoded::{corrupt, take},
    overload::Resolved,
};

/// Why a row could not be folded in; it goes to the processing log.
pub(crate) type Reason = &'static str;

/// How one group takes rows.
pub(crate) trait Fold: Clone + Send + Sync + 'static {
    /// One group; the default is the empty one.
    type State: Default + Send + Sync;
    /// The arguments' columns, opened.
    type Input<'a>;
    /// A column of results in the making.
    type Output;

    /// The first byte of a stored state. A new layout takes a new number.
    const VERSION: u8 = 1;

    /// Open the columns; `None` if they are not of the types that the function was bound to.
    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Self::Input<'a>>;

    /// Take row `row` in, which is number `number` in order of processing.
    fn add(&mut self, state: &mut Self::State, input: &Self::Input<'_>, row: usize, number: u64) -> Result<(), Reason>;

    /// Take row `row` back, which was taken in before; one that was not changes nothing.
    fn take_back(&mut self, state: &mut Self::State, input: &Self::Input<'_>, row: usize) -> Result<(), Reason> {
        let _ = (state, input, row);
        Err("a row cannot be taken back from this aggregate")
    }

    /// Fold all that `from` has taken into `into`.
    fn merge(&self, into: &mut Self::State, from: &Self::State, from_is_later: bool);

    /// A column for so many results.
    fn output(&self, capacity: usize) -> Self::Output;

    /// Append the group's value.
    fn emit(&self, state: &Self::State, output: &mut Self::Output);

    /// The column of `rows` results.
    fn finish(&self, output: Self::Output, rows: usize) -> ArrayRef;

    /// Append the state's bytes.
    fn write(&self, state: &Self::State, out: &mut Vec<u8>);

    /// Read what `write` wrote; must take any bytes.
    fn read(&self, input: &mut &[u8]) -> Result<Self::State>;

    /// Bytes that the state has on the heap, in constant time.
    fn heap_bytes(_state: &Self::State) -> usize {
        0
    }

    /// The highest row number that the state keeps.
    fn last_number(_state: &Self::State) -> u64 {
        0
    }
}

/// The states of function `F` for many groups.
pub(crate) struct PerGroup<F: Fold> {
    fold: F,
    slots: Vec<F::State>,
    heap_bytes: usize,
    next_number: u64,
}

impl<F: Fold> PerGroup<F> {
    fn fold_in(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
        errors: &mut RowErrors,
        mut after: impl FnMut(&F, &F::State),
    ) {
        let Some(input) = self.fold.input(args) else {
            errors.push(0, "an aggregate was given columns of other types than it was bound to");
            return;
        };
        let PerGroup { fold, slots, heap_bytes, next_number } = self;
        let (mut heap, mut number) = (*heap_bytes, *next_number);
        for (row, group) in groups.iter().enumerate() {
            let Some(state) = slots.get_mut(*group as usize) else {
                errors.push(row, "an aggregate was given a group that it has no slot for");
                continue;
            };
            let before = F::heap_bytes(state);
            let taken = match retract {
                Some(retract) if retract.get(row) == Some(&true) => fold.take_back(state, &input, row),
                _ => fold.add(state, &input, row, number),
            };
            heap = (heap + F::heap_bytes(state)).saturating_sub(before);
            number = number.saturating_add(1);
            if let Err(reason) = taken {
                errors.push(row, reason);
            }
            after(fold, state);
        }
        (*heap_bytes, *next_number) = (heap, number);
    }

    fn forget(&mut self, slot: usize) {
        if let Some(state) = self.slots.get_mut(slot) {
            self.heap_bytes = self.heap_bytes.saturating_sub(F::heap_bytes(state));
            *state = F::State::default();
        }
    }
}

impl<F: Fold> GroupStates for PerGroup<F> {
    fn number_from(&mut self, first: u64) {
        self.next_number = self.next_number.max(first);
    }

    fn resize(&mut self, slots: usize) {
        let gone = self.slots.iter().skip(slots).map(F::heap_bytes).sum();
        self.heap_bytes = self.heap_bytes.saturating_sub(gone);
        self.slots.resize_with(slots, F::State::default);
    }

    fn reset(&mut self, slot: usize) {
        self.forget(slot);
    }

    fn update(&mut self, groups: &[u32], args: &[ArrayRef], retract: Option<&[bool]>, errors: &mut RowErrors) {
        self.fold_in(groups, args, retract, errors, |_, _| {});
    }

    fn update_each(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
        errors: &mut RowErrors,
    ) -> ArrayRef {
        let mut output = self.fold.output(groups.len());
        self.fold_in(groups, args, retract, errors, |fold, state| fold.emit(state, &mut output));
        self.fold.finish(output, groups.len())
    }

    fn values(&self, groups: &[u32]) -> ArrayRef {
        let mut output = self.fold.output(groups.len());
        let empty = F::State::default();
        for group in groups {
            self.fold.emit(self.slots.get(*group as usize).unwrap_or(&empty), &mut output);
        }
        self.fold.finish(output, groups.len())
    }

    fn merge(&mut self, into: usize, from: usize, from_is_later: bool) {
        if into == from || into >= self.slots.len() {
            return;
        }
        let Some(source) = self.slots.get_mut(from) else { return };
        let taken = std::mem::take(source);
        if let Some(target) = self.slots.get_mut(into) {
            let before = F::heap_bytes(target);
            self.fold.merge(target, &taken, from_is_later);
            self.heap_bytes = (self.heap_bytes + F::heap_bytes(target)).saturating_sub(before);
        }
        if let Some(source) = self.slots.get_mut(from) {
            *source = taken;
        }
    }

    fn store(&self, slot: usize, out: &mut Vec<u8>) {
        out.push(F::VERSION);
        match self.slots.get(slot) {
            Some(state) => self.fold.write(state, out),
            None => self.fold.write(&F::State::default(), out),
        }
    }

    fn load(&mut self, slot: usize, bytes: &[u8]) -> Result<()> {
        let mut input = bytes;
        let [version] = take::<1>(&mut input)?;
        if version != F::VERSION {
            return Err(corrupt(&format!("its version is {version}, not {}", F::VERSION)));
        }
        let state = self.fold.read(&mut input)?;
        if !input.is_empty() {
            return Err(corrupt("it goes on after its end"));
        }
        if slot >= self.slots.len() {
            return Err(Error::internal(format!("there is no slot {slot} to load a state into")));
        }
        self.forget(slot);
        self.heap_bytes += F::heap_bytes(&state);
        self.next_number = self.next_number.max(F::last_number(&state).saturating_add(1));
        if let Some(place) = self.slots.get_mut(slot) {
            *place = state;
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<F::State>() + self.heap_bytes
    }
}

/// What makes the states of `fold`.
pub(crate) fn make<F: Fold>(fold: F) -> MakeStates {
    Arc::new(move || Box::new(PerGroup { fold: fold.clone(), slots: Vec::new(), heap_bytes: 0, next_number: 0 }))
}

impl BoundAggregate {
    /// An aggregate over streams alone.
    pub(crate) fn of_streams(arg_types: Vec<SqlType>, return_type: SqlType, make: MakeStates) -> BoundAggregate {
        BoundAggregate {
            arg_types,
            return_type,
            retracts: false,
            dialect_retracts: false,
            nested_state: true,
            merges: true,
            wants_order: false,
            make_retractable: Arc::clone(&make),
            make,
        }
    }

    /// The same, over tables by states of their own.
    pub(crate) fn with_tables(mut self, make_retractable: MakeStates) -> BoundAggregate {
        self.retracts = true;
        self.make_retractable = make_retractable;
        self
    }

    /// The same; its states serve for tables, too.
    pub(crate) fn with_same_for_tables(self) -> BoundAggregate {
        let make = Arc::clone(&self.make);
        self.with_tables(make)
    }

    /// The same; ksqlDB takes it over tables.
    pub(crate) fn like_the_dialect(mut self) -> BoundAggregate {
        self.dialect_retracts = true;
        self
    }

    /// The same; ksqlDB keeps a plain value between rows.
    pub(crate) fn with_flat_state(mut self) -> BoundAggregate {
        self.nested_state = false;
        self
    }
}

/// The types of a resolved call's value arguments.
pub(crate) fn value_types(resolved: &Resolved) -> Vec<SqlType> {
    (0..resolved.arg_types.len()).map(|at| resolved.value(at)).collect()
}

/// The types as they are, for functions that take any; NULL is a STRING.
pub(crate) fn given_types(args: &[ArgType]) -> Option<Vec<SqlType>> {
    let of = |arg: &ArgType| match arg {
        ArgType::Value(ty) => Some(ty.clone().unwrap_or(SqlType::String)),
        _ => None,
    };
    args.iter().map(of).collect()
}
