//! DataFusion's functions whose result can be far longer than what they are given: memory for it is asked for at once,
//! and no memory pool is told.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{DataType, FieldRef, Int64Type},
};
use datafusion::{
    error::Result,
    logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature},
    prelude::SessionContext,
};
use types::Error;

use crate::scan::outside;

/// Bytes of what one call makes of one batch of rows.
const RESULT_BYTES_MAX: u128 = 256 << 20;

/// Repeat their first argument as often as the second one says, or make a list of that length.
const REPEATING: &[&str] = &["array_repeat", "array_resize", "repeat"];

/// Make a list from a start to an end, of numbers or times; GENERATE_SERIES does that, bounded.
const UNBOUNDED: &[&str] = &["range"];

/// Bound the functions of `context`.
pub(crate) fn bound(context: &SessionContext) {
    let known = context.state().scalar_functions().clone();
    for name in REPEATING {
        if let Some(inner) = known.get(*name) {
            context.register_udf(ScalarUDF::new_from_impl(Bounded(inner.clone())));
        }
    }
    UNBOUNDED.iter().for_each(|name| context.deregister_udf(name));
}

/// A function that refuses to make too much.
#[derive(Debug)]
struct Bounded(Arc<ScalarUDF>);

impl Bounded {
    /// About how many bytes it would make.
    fn result_bytes(&self, args: &ScalarFunctionArgs) -> Result<u128> {
        let [repeated, times, ..] = args.args.as_slice() else { return Ok(0) };
        let repeated = plain(repeated.to_array(args.number_rows)?)?.to_data();
        let times = cast(&times.to_array(args.number_rows)?, &DataType::Int64)?;
        let times = times.as_primitive::<Int64Type>();
        let mut bytes = 0;
        for (row, times) in times.iter().enumerate() {
            let Ok(times) = u64::try_from(times.unwrap_or(0)) else { continue };
            let each = repeated.slice(row.min(repeated.len()), 1).get_slice_memory_size()?;
            bytes += u128::from(times) * each as u128;
        }
        Ok(bytes)
    }
}

/// Texts with their bytes beside them.
fn plain(array: ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Utf8View => Ok(cast(&array, &DataType::Utf8)?),
        DataType::BinaryView => Ok(cast(&array, &DataType::Binary)?),
        _ => Ok(array),
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.0.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.0.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = self.result_bytes(&args)?;
        if bytes > RESULT_BYTES_MAX {
            let (name, max) = (self.name().to_uppercase(), RESULT_BYTES_MAX >> 20);
            let message =
                format!("{name} would make {} MB of {} row(s), more than {max}", bytes >> 20, args.number_rows);
            return Err(outside(Error::invalid(message)));
        }
        self.0.invoke_with_args(args)
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Bounded) -> bool {
        self.0 == other.0
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
