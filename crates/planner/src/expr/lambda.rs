//! Lambdas as arguments of calls.
//!
//! A body is an expression over a batch of its own: the parameters' columns first, then one column for everything that
//! it captures from around it (columns of the row, or parameters of an enclosing lambda), repeated for every element.

use std::{fmt, sync::Arc};

use arrow::{
    array::{ArrayRef, UInt32Array},
    compute::take,
    datatypes::{Field, Schema, SchemaRef},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use datafusion::common::Result as DfResult;
use functions::{LambdaBody, RowErrors};
use types::{Result, SqlType};

use super::{
    evaluate,
    operand::{Operand, Values, from_datafusion},
    text,
};
use crate::plan::BoundExpr;

/// A bound lambda.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Lambda {
    /// Names of the parameters.
    pub params: Vec<String>,
    /// The body, over the parameters and then the captures.
    pub body: BodyExpr,
    /// What the body captures, over the batch of the call.
    pub captures: Vec<Operand>,
    schema: BatchShape,
}

/// The body: compared as an expression.
#[derive(Debug, Clone)]
pub(crate) struct BodyExpr(pub BoundExpr);

/// The Arrow types of the body's batch; equal bodies have equal ones.
#[derive(Debug, Clone)]
struct BatchShape(SchemaRef);

impl Lambda {
    /// A lambda of `params` over `captures` (with their types).
    pub fn new(params: Vec<(String, SqlType)>, captures: Vec<(Operand, SqlType)>, body: BoundExpr) -> Lambda {
        let columns = params.iter().map(|(_, ty)| ty).chain(captures.iter().map(|(_, ty)| ty));
        let fields = columns.enumerate().map(|(i, ty)| Field::new(i.to_string(), ty.to_arrow(), true));
        let schema = BatchShape(Arc::new(Schema::new(fields.collect::<Vec<_>>())));
        Lambda {
            params: params.into_iter().map(|(name, _)| name).collect(),
            body: BodyExpr(body),
            captures: captures.into_iter().map(|(operand, _)| operand).collect(),
            schema,
        }
    }

    /// The same lambda over other captures, of the same types.
    pub fn with_captures(&self, captures: Vec<Operand>) -> Lambda {
        Lambda { captures, ..self.clone() }
    }

    /// The lambda for the rows of `batch`.
    pub fn close_over(&self, batch: &RecordBatch) -> DfResult<Arc<dyn LambdaBody>> {
        let captured = self.captures.iter().map(|c| c.values(batch)).collect::<DfResult<Vec<_>>>()?;
        Ok(Arc::new(Closed { body: self.body.0.clone(), schema: Arc::clone(&self.schema.0), captured }))
    }
}

/// A lambda with the values that it captured.
struct Closed {
    body: BoundExpr,
    schema: SchemaRef,
    captured: Vec<Values>,
}

impl LambdaBody for Closed {
    fn evaluate(&self, params: &[ArrayRef], rows: &[u32], errors: &mut RowErrors) -> Result<ArrayRef> {
        let mut columns = params.to_vec();
        if !self.captured.is_empty() {
            let repeat = UInt32Array::from(rows.to_vec());
            let first = UInt32Array::from(vec![0_u32; rows.len()]);
            for captured in &self.captured {
                let at = if captured.constant { &first } else { &repeat };
                columns.push(take(&captured.array, at, None).map_err(|e| from_datafusion(e.into()))?);
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|e| from_datafusion(e.into()))?;
        let mut inner = RowErrors::default();
        let array = evaluate(&self.body, &batch, &mut inner)?;
        for (element, reason) in inner.rows {
            if let Some(row) = rows.get(element) {
                errors.push(*row as usize, reason);
            }
        }
        Ok(array)
    }
}

impl fmt::Display for Lambda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = text::sql(&self.body.0);
        match self.params.as_slice() {
            [only] => write!(f, "{} => {body}", text::name(only)),
            params => {
                let params: Vec<String> = params.iter().map(|p| text::name(p)).collect();
                write!(f, "({}) => {body}", params.join(", "))
            }
        }
    }
}

impl PartialEq for BodyExpr {
    fn eq(&self, other: &BodyExpr) -> bool {
        self.0.as_ref() == other.0.as_ref()
    }
}

impl Eq for BodyExpr {}

impl std::hash::Hash for BodyExpr {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.as_ref().dyn_hash(state);
    }
}

impl PartialEq for BatchShape {
    fn eq(&self, other: &BatchShape) -> bool {
        self.0.fields().iter().map(|f| f.data_type()).eq(other.0.fields().iter().map(|f| f.data_type()))
    }
}

impl Eq for BatchShape {}

impl std::hash::Hash for BatchShape {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.fields().len().hash(state);
    }
}
