//! Calls: one PhysicalExpr for every function, cast and arithmetic operator.
//!
//! A call owns a kernel of the functions crate, which knows columns and constants but neither plans nor batches. The
//! children of a call are its value arguments and what its lambdas capture, so that DataFusion's tree rewrites (and
//! [`super::remap`]) see everything that is read from the batch, while a lambda's body stays closed over its own.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, BooleanArray},
    compute::nullif,
    datatypes::{DataType, Schema},
    record_batch::RecordBatch,
};
use datafusion::{
    common::{Result as DfResult, ScalarValue, internal_err},
    logical_expr::ColumnarValue,
    physical_expr::PhysicalExpr,
};
use functions::{Arg, RowErrors, ScalarKernel};
use types::{Error, SqlType};

use super::{
    collector,
    lambda::Lambda,
    operand::{Operand, external},
    text,
};
use crate::plan::BoundExpr;

/// How a call is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CallStyle {
    /// `NAME(a, b)`.
    Function,
    /// `(a NAME b)`.
    Infix,
    /// `NAMEa`.
    Prefix,
    /// `CAST(a AS type)`.
    Cast,
    /// `a[b]`.
    Subscript,
    /// `a->NAME`.
    Deref,
    /// `ARRAY[a, b]`.
    Array,
    /// `MAP(a := b, c := d)`.
    Map,
    /// `STRUCT(NAME := a, …)`; the names of the fields.
    Struct(Vec<String>),
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum KernelArg {
    /// A value.
    Value(Operand),
    /// A lambda.
    Lambda(Lambda),
    /// A bare unit of time.
    TimeUnit(String),
}

impl KernelArg {
    fn children(&self) -> &[Operand] {
        match self {
            KernelArg::Value(operand) => std::slice::from_ref(operand),
            KernelArg::Lambda(lambda) => &lambda.captures,
            KernelArg::TimeUnit(_) => &[],
        }
    }
}

/// A call of a kernel. Equal to another when name, arguments and result type are; its kernel follows from those.
#[derive(Clone)]
pub struct KernelExpr {
    /// The function's or operator's name, upper case; a field's name for a dereference.
    pub name: String,
    /// How it is written.
    pub style: CallStyle,
    pub(crate) args: Vec<KernelArg>,
    kernel: Arc<dyn ScalarKernel>,
    /// The type of the result.
    pub return_type: SqlType,
    /// Whether the same arguments always give the same result.
    pub deterministic: bool,
    data_type: DataType,
}

impl KernelExpr {
    pub(crate) fn new(
        name: impl Into<String>,
        style: CallStyle,
        args: Vec<KernelArg>,
        kernel: Arc<dyn ScalarKernel>,
        return_type: SqlType,
        deterministic: bool,
    ) -> KernelExpr {
        let data_type = return_type.to_arrow();
        KernelExpr { name: name.into(), style, args, kernel, return_type, deterministic, data_type }
    }

    /// The only value argument, if there is exactly one argument.
    pub fn only_value(&self) -> Option<&BoundExpr> {
        match self.args.as_slice() {
            [KernelArg::Value(operand)] => Some(&operand.expr),
            _ => None,
        }
    }

    /// The value arguments, if there are exactly two arguments.
    pub fn both_values(&self) -> Option<(&BoundExpr, &BoundExpr)> {
        match self.args.as_slice() {
            [KernelArg::Value(left), KernelArg::Value(right)] => Some((&left.expr, &right.expr)),
            _ => None,
        }
    }

    /// Whether this is a conversion that the text does not show or `CAST`.
    pub fn is_cast(&self) -> bool {
        self.style == CallStyle::Cast
    }

    /// Whether nothing of the batch is read and nothing else can change the result.
    pub(crate) fn is_foldable(&self) -> bool {
        self.deterministic && self.args.iter().all(|a| a.children().iter().all(|o| o.constant().is_some()))
    }

    /// Comparisons take a NULL operand for false, but an operand that failed makes them NULL: nothing is known then.
    fn compares(&self) -> bool {
        self.return_type == SqlType::Boolean && self.style == CallStyle::Infix
    }

    /// `array`, a result of `rows` rows or of one for all, NULL in the rows whose operands failed.
    fn unknown_where_failed(
        &self,
        array: ArrayRef,
        failed: Vec<(usize, String)>,
        rows: usize,
    ) -> DfResult<ColumnarValue> {
        let array =
            if array.len() == rows { array } else { ScalarValue::try_from_array(&array, 0)?.to_array_of_size(rows)? };
        let mut unknown = vec![false; rows];
        for (row, _) in &failed {
            if let Some(flag) = unknown.get_mut(*row) {
                *flag = true;
            }
        }
        collector::report_rows(failed);
        Ok(ColumnarValue::Array(nullif(array.as_ref(), &BooleanArray::from(unknown))?))
    }

    fn arguments(&self, batch: &RecordBatch) -> DfResult<Vec<Arg>> {
        let argument = |arg: &KernelArg| {
            Ok(match arg {
                KernelArg::Value(operand) => operand.values(batch)?.into_arg(),
                KernelArg::Lambda(lambda) => Arg::Lambda(lambda.close_over(batch)?),
                KernelArg::TimeUnit(unit) => Arg::TimeUnit(unit.clone()),
            })
        };
        self.args.iter().map(argument).collect()
    }
}

/// Whether the result is one row for all: nothing in the call differs from row to row.
fn all_constant(args: &[Arg], lambdas_capture: bool) -> bool {
    !args.is_empty() && !lambdas_capture && !args.iter().any(|a| matches!(a, Arg::Column(_)))
}

impl PhysicalExpr for KernelExpr {
    fn data_type(&self, _input_schema: &Schema) -> DfResult<DataType> {
        Ok(self.data_type.clone())
    }

    fn nullable(&self, _input_schema: &Schema) -> DfResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DfResult<ColumnarValue> {
        let rows = batch.num_rows();
        let (args, failed) = if self.compares() {
            collector::capture(|| self.arguments(batch))
        } else {
            (self.arguments(batch), Vec::new())
        };
        let args = args?;
        let captures = self.args.iter().any(|a| matches!(a, KernelArg::Lambda(l) if !l.captures.is_empty()));
        let constant = all_constant(&args, captures) && self.deterministic;
        let mut errors = RowErrors::default();
        let asked = if constant { 1 } else { rows };
        let array = self.kernel.evaluate(&args, asked, &mut errors).map_err(external)?;
        if constant && rows != 1 && !errors.rows.is_empty() {
            let reason = errors.rows.swap_remove(0).1;
            errors.rows = (0..rows).map(|row| (row, reason.clone())).collect();
        }
        collector::report(errors);
        if !failed.is_empty() {
            return self.unknown_where_failed(array, failed, rows);
        }
        if array.len() == rows && !constant {
            return Ok(ColumnarValue::Array(array));
        }
        if array.len() == 1 {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        internal_err!("{} gave {} rows for {rows}", self.name, array.len())
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.args.iter().flat_map(KernelArg::children).map(|o| &o.expr).collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> DfResult<Arc<dyn PhysicalExpr>> {
        let mut children = children.into_iter();
        let mut next = || match children.next() {
            Some(child) => Operand::new(child),
            None => internal_err!("{} needs more children", self.name),
        };
        let mut args = Vec::with_capacity(self.args.len());
        for arg in &self.args {
            args.push(match arg {
                KernelArg::Value(_) => KernelArg::Value(next()?),
                KernelArg::Lambda(lambda) => {
                    let captures = lambda.captures.iter().map(|_| next()).collect::<DfResult<Vec<_>>>()?;
                    KernelArg::Lambda(lambda.with_captures(captures))
                }
                KernelArg::TimeUnit(unit) => KernelArg::TimeUnit(unit.clone()),
            });
        }
        Ok(Arc::new(KernelExpr { args, ..self.as_ref().clone() }))
    }

    fn is_volatile_node(&self) -> bool {
        !self.deterministic
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for KernelExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args: Vec<String> = self.args.iter().map(arg_text).collect();
        match (&self.style, args.as_slice()) {
            (CallStyle::Infix, [left, right]) => write!(f, "({left} {} {right})", self.name),
            (CallStyle::Prefix, [only]) => write!(f, "{}{only}", self.name),
            (CallStyle::Cast, [only]) => write!(f, "CAST({only} AS {})", self.return_type),
            (CallStyle::Subscript, [base, index]) => write!(f, "{base}[{index}]"),
            (CallStyle::Deref, [base]) => write!(f, "{base}->{}", text::name(&self.name)),
            (CallStyle::Array, args) => write!(f, "ARRAY[{}]", args.join(", ")),
            (CallStyle::Map, args) => {
                let pairs: Vec<String> = args.chunks(2).map(|kv| kv.join(" := ")).collect();
                write!(f, "MAP({})", pairs.join(", "))
            }
            (CallStyle::Struct(names), args) => {
                let fields: Vec<String> =
                    names.iter().zip(args).map(|(n, a)| format!("{} := {a}", text::name(n))).collect();
                write!(f, "STRUCT({})", fields.join(", "))
            }
            (_, args) => write!(f, "{}({})", self.name, args.join(", ")),
        }
    }
}

fn arg_text(arg: &KernelArg) -> String {
    match arg {
        KernelArg::Value(operand) => text::sql(&operand.expr),
        KernelArg::Lambda(lambda) => lambda.to_string(),
        KernelArg::TimeUnit(unit) => unit.clone(),
    }
}

impl fmt::Debug for KernelExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KernelExpr({self})")
    }
}

impl PartialEq for KernelExpr {
    fn eq(&self, other: &KernelExpr) -> bool {
        self.name == other.name
            && self.style == other.style
            && self.return_type == other.return_type
            && self.args == other.args
            && self.deterministic
            && other.deterministic
    }
}

impl Eq for KernelExpr {}

impl Hash for KernelExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.return_type.hash(state);
        self.args.hash(state);
    }
}

/// A kernel's error as the one that says what could not be bound.
pub(crate) fn unbindable(error: datafusion::common::DataFusionError) -> Error {
    super::operand::from_datafusion(error)
}
