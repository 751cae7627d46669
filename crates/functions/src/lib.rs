//! One file per function: scalar, aggregate and table functions and the operators of the dialect, as kernels over
//! Arrow arrays; the sorted lists of them; the reference pages made from those lists.
//!
//! Invariant: knows no plan. Whoever binds an expression asks for a function by name and argument types and gets a
//! kernel back; kernels evaluate whole columns, and report a row that fails on the side: that row becomes NULL.

pub mod aggregate;
pub mod ambient;
pub mod calendar;
pub mod encoded;
pub mod javanum;
pub mod javatime;
pub mod kernel;
pub mod operator;
pub mod overload;
pub mod reference;
pub mod scalar;
pub mod table;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use arrow::array::ArrayRef;
use types::{Result, SqlType};

/// What is known of an argument when a function is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgType {
    /// A value of that type; `None` for the literal NULL.
    Value(Option<SqlType>),
    /// A lambda whose body is not bound yet, of so many parameters.
    UnboundLambda(usize),
    /// A lambda of those parameter types whose body has that type (`None`: always NULL).
    Lambda(Vec<SqlType>, Option<SqlType>),
    /// A bare unit of time, upper-case plural (`SECONDS`).
    TimeUnit(String),
}

/// An argument of a call.
#[derive(Clone)]
pub enum Arg {
    /// One value a row.
    Column(ArrayRef),
    /// One value for all rows: an array of length 1.
    Constant(ArrayRef),
    /// A lambda.
    Lambda(Arc<dyn LambdaBody>),
    /// A bare unit of time.
    TimeUnit(String),
}

/// A lambda's body, to be evaluated over many elements at once.
pub trait LambdaBody: Send + Sync {
    /// Evaluate for `rows.len()` elements: `params` are the parameters' columns of that length, `rows[i]` is the row
    /// of the call (and of the columns that the body captures) to which element `i` belongs. Rows that fail are
    /// reported into `errors` at the index of the *call's* row and are NULL.
    fn evaluate(&self, params: &[ArrayRef], rows: &[u32], errors: &mut RowErrors) -> Result<ArrayRef>;
}

/// Rows of a batch whose evaluation failed, with the reason; the value of such a row is NULL.
#[derive(Debug, Default)]
pub struct RowErrors {
    /// (row, reason), at most one a row and call.
    pub rows: Vec<(usize, String)>,
}

impl RowErrors {
    /// Row `row` failed because of `reason`.
    pub fn push(&mut self, row: usize, reason: impl Into<String>) {
        self.rows.push((row, reason.into()));
    }
}

/// A scalar function bound to argument types.
pub trait ScalarKernel: Send + Sync {
    /// Evaluate over `rows` rows. `args` have exactly the types that [`BoundScalar::arg_types`] names. The result has
    /// `rows` rows and the Arrow type of the return type (or length 1 is allowed where every argument is constant).
    fn evaluate(&self, args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<ArrayRef>;
}

/// What binding a scalar function or operator gives.
#[derive(Clone)]
pub struct BoundScalar {
    /// The types to which the caller casts value arguments first (lambdas, units: as they came). One per argument.
    pub arg_types: Vec<ArgType>,
    /// The type of the result.
    pub return_type: SqlType,
    /// The code.
    pub kernel: Arc<dyn ScalarKernel>,
    /// Whether the same arguments always give the same result (RANDOM, UUID, UNIX_TIMESTAMP() do not).
    pub deterministic: bool,
}

/// A scalar function.
pub trait ScalarFunction: Send + Sync {
    /// Name, words and examples.
    fn doc(&self) -> &'static FunctionDoc;

    /// The types of the parameters of the lambda at argument `at`, given what is known of the other arguments.
    /// Called before `bind` for each lambda, from left to right, with the lambdas before it bound.
    fn lambda_params(&self, at: usize, args: &[ArgType]) -> Result<Vec<SqlType>> {
        let _ = (at, args);
        Err(types::Error::type_mismatch(format!("{} takes no lambda", self.doc().name)))
    }

    /// Resolve the overload for these arguments with ksqlDB's implicit conversions. The error names the function, the
    /// types it was given and those it takes (42883).
    fn bind(&self, args: &[ArgType]) -> Result<BoundScalar>;
}

/// What DESCRIBE FUNCTION and the reference page show.
#[derive(Debug)]
pub struct FunctionDoc {
    /// Upper case.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// For grouping: `STRING`, `MATHEMATICAL`, `DATE / TIME`, `ARRAY`, `MAP`, `JSON`, `URL`, `NULLS`, `AGGREGATE`, ….
    pub category: &'static str,
    /// `SUBSTRING(text, start[, length])`, one a line.
    pub signatures: &'static [&'static str],
    /// What it does, NULLs and failures included; a few sentences.
    pub description: &'static str,
    /// (expression, result as text): run as tests.
    pub examples: &'static [(&'static str, &'static str)],
}

/// What kind of function it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    /// A value of each row.
    Scalar,
    /// A value of many rows.
    Aggregate,
    /// Rows of each row.
    Table,
}

impl FunctionKind {
    /// `SCALAR`, `AGGREGATE`, `TABLE`.
    pub fn name(self) -> &'static str {
        match self {
            FunctionKind::Scalar => "SCALAR",
            FunctionKind::Aggregate => "AGGREGATE",
            FunctionKind::Table => "TABLE",
        }
    }
}

/// Every function of the dialect, kind by kind, sorted by name within.
pub fn all() -> impl Iterator<Item = (&'static FunctionDoc, FunctionKind)> {
    let scalars = scalar::SCALARS.iter().map(|f| (f.doc(), FunctionKind::Scalar));
    let aggregates = aggregate::AGGREGATES.iter().map(|f| (f.doc(), FunctionKind::Aggregate));
    let tables = table::TABLES.iter().map(|f| (f.doc(), FunctionKind::Table));
    scalars.chain(aggregates).chain(tables)
}

/// An aggregate function.
pub trait AggregateFunction: Send + Sync {
    /// Name, words and examples.
    fn doc(&self) -> &'static FunctionDoc;

    /// Resolve for these arguments; `literals[i]` holds the value of an argument that is a constant, as a one-row
    /// array, and is how functions take configuration (the k of TOPK). The columns of such arguments are not looked
    /// at later.
    fn bind(&self, args: &[ArgType], literals: &[Option<ArrayRef>]) -> Result<BoundAggregate>;

    /// As `bind`, with other limits than the default ones.
    fn bind_limited(
        &self,
        args: &[ArgType],
        literals: &[Option<ArrayRef>],
        limits: &aggregate::Limits,
    ) -> Result<BoundAggregate> {
        let _ = limits;
        self.bind(args, literals)
    }
}

/// Makes the states of no groups yet.
pub type MakeStates = Arc<dyn Fn() -> Box<dyn GroupStates> + Send + Sync>;

/// What binding an aggregate function gives.
#[derive(Clone)]
pub struct BoundAggregate {
    /// The types to which the caller casts the arguments first.
    pub arg_types: Vec<SqlType>,
    /// The type of the result.
    pub return_type: SqlType,
    /// Whether rows can be taken back (aggregates of tables): by the states that `make_retractable` makes.
    pub retracts: bool,
    /// Whether ksqlDB, too, takes it over a table; where only `retracts` is set, that is this engine's addition.
    pub dialect_retracts: bool,
    /// Whether ksqlDB keeps a STRUCT, ARRAY or MAP between rows, for which it refuses value formats without nesting.
    pub nested_state: bool,
    /// Whether two groups can be merged (session windows).
    pub merges: bool,
    /// Whether it wants the row's offset, partition, or rowtime as hidden trailing arguments: LATEST_BY_OFFSET does.
    pub wants_order: bool,
    /// Makes the states for streams: rows are only added.
    pub make: MakeStates,
    /// Makes the states for tables: rows are taken back, too, for which some functions must keep every row's value.
    /// Stored states of the two kinds are not exchangeable.
    pub make_retractable: MakeStates,
}

/// The states of one aggregate function for many groups, by slot.
///
/// Slots are dense numbers handed out by the operator. All group numbers given are below the last `resize`.
pub trait GroupStates: Send + Sync {
    /// Number the rows to come from at least `first` on, in order of processing. Rows are numbered as they come, by a
    /// count of these states' own; whoever restores stored states gives a number above all that they were stored with
    /// (an epoch in the upper half), or groups merged later might take an old row for a newer one.
    fn number_from(&mut self, first: u64) {
        let _ = first;
    }

    /// Have `slots` slots; new ones are empty groups.
    fn resize(&mut self, slots: usize);

    /// Make slot `slot` an empty group again.
    fn reset(&mut self, slot: usize);

    /// Fold rows in, in order: row `i` of `args` goes to group `groups[i]`; it is taken back where `retract[i]`.
    /// Never called with `retract` where [`BoundAggregate::retracts`] is false.
    fn update(&mut self, groups: &[u32], args: &[ArrayRef], retract: Option<&[bool]>, errors: &mut RowErrors);

    /// As `update`, and returns the value of the row's group after each row: `groups.len()` values.
    fn update_each(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
        errors: &mut RowErrors,
    ) -> ArrayRef {
        let mut parts = Vec::with_capacity(groups.len());
        for (i, group) in groups.iter().enumerate() {
            let row: Vec<ArrayRef> = args.iter().map(|a| a.slice(i, 1)).collect();
            let mut row_errors = RowErrors::default();
            self.update(&[*group], &row, retract.and_then(|r| r.get(i..=i)), &mut row_errors);
            errors.rows.extend(row_errors.rows.into_iter().map(|(_, reason)| (i, reason)));
            parts.push(self.values(&[*group]));
        }
        let parts: Vec<&dyn arrow::array::Array> = parts.iter().map(AsRef::as_ref).collect();
        if parts.is_empty() {
            self.values(&[])
        } else {
            arrow::compute::concat(&parts).unwrap_or_else(|_| self.values(&[]))
        }
    }

    /// The values of those groups, in order.
    fn values(&self, groups: &[u32]) -> ArrayRef;

    /// Fold group `from` into `into` (session windows merge); `from` is the later... neither is reset.
    /// `from_is_later` says which of the two holds later events.
    fn merge(&mut self, into: usize, from: usize, from_is_later: bool);

    /// Append the group's state to `out` in this function's own encoding (first byte: a version).
    fn store(&self, slot: usize, out: &mut Vec<u8>);

    /// Set the slot from what `store` wrote; the error says what does not fit.
    fn load(&mut self, slot: usize, bytes: &[u8]) -> Result<()>;

    /// Bytes of memory that the states take, about.
    fn size_bytes(&self) -> usize;
}

/// A table function: one row in, any number of rows out.
pub trait TableFunction: Send + Sync {
    /// Name, words and examples.
    fn doc(&self) -> &'static FunctionDoc;

    /// Resolve for these arguments.
    fn bind(&self, args: &[ArgType]) -> Result<BoundTable>;
}

/// What binding a table function gives.
#[derive(Clone)]
pub struct BoundTable {
    /// The types to which the caller casts the arguments first.
    pub arg_types: Vec<SqlType>,
    /// The type of the column that comes out.
    pub return_type: SqlType,
    /// The code.
    pub kernel: Arc<dyn TableKernel>,
}

/// A table function's code.
pub trait TableKernel: Send + Sync {
    /// Evaluate over `rows` rows: the values of all rows one after the other, and for each row how many are its own.
    fn evaluate(&self, args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<(ArrayRef, Vec<u32>)>;
}

/// Casting, comparing and computing are functions too: the operators of the dialect.
pub use operator::{
    Arithmetic, Comparison, bind_arithmetic, bind_cast, bind_comparison, bind_field, bind_like, bind_negate,
    bind_subscript, common_type, implicitly_castable, literal_boolean, literal_type,
};
