//! Our scalar functions for queries that DataFusion runs as a whole: one ScalarUDF each, over the same kernels.
//!
//! DataFusion's literals are all 64 bits wide and its texts may be views, so arguments are converted to the types that
//! the kernel takes; a row that fails is NULL, as everywhere, and reported to whoever runs the query.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use arrow::{compute::cast, datatypes::DataType};
use datafusion::{
    common::{Result as DfResult, ScalarValue, internal_err, plan_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility},
};
use functions::{Arg, ArgType, BoundScalar, RowErrors, ScalarFunction};
use types::SqlType;

use super::operand::external;

/// Overloads that an adapter remembers.
const OVERLOADS_MAX: usize = 64;

/// Is told of rows that failed: the function's name, how many, and why the first of them.
pub type OnRowErrors = Arc<dyn Fn(&str, usize, &str) + Send + Sync>;

/// Every scalar function, under its name and aliases in lower and in upper case.
pub fn scalar_udfs(on_errors: &OnRowErrors) -> Vec<Arc<ScalarUDF>> {
    let adapt =
        |f: &&'static dyn ScalarFunction| Arc::new(ScalarUDF::new_from_impl(Adapter::new(*f, on_errors.clone())));
    functions::scalar::SCALARS.iter().map(adapt).collect()
}

/// Whether DataFusion has a scalar or aggregate function of that name.
pub fn is_datafusion_function(name: &str) -> bool {
    static NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let mut names = BTreeSet::new();
        let scalars = datafusion::functions::all_default_functions();
        let nested = datafusion::functions_nested::all_default_nested_functions();
        for function in scalars.iter().chain(&nested) {
            names.insert(function.name().to_lowercase());
            names.extend(function.aliases().iter().map(|a| a.to_lowercase()));
        }
        for function in datafusion::functions_aggregate::all_default_aggregate_functions() {
            names.insert(function.name().to_lowercase());
            names.extend(function.aliases().iter().map(|a| a.to_lowercase()));
        }
        names
    });
    NAMES.contains(&name.to_lowercase())
}

/// One of our functions as one of DataFusion's.
struct Adapter {
    function: &'static dyn ScalarFunction,
    name: String,
    aliases: Vec<String>,
    signature: Signature,
    bound: Mutex<HashMap<Vec<DataType>, BoundScalar>>,
    on_errors: OnRowErrors,
}

impl Adapter {
    fn new(function: &'static dyn ScalarFunction, on_errors: OnRowErrors) -> Adapter {
        let doc = function.doc();
        let changes = function.bind(&[]).is_ok_and(|bound| !bound.deterministic);
        let volatility = if changes { Volatility::Volatile } else { Volatility::Immutable };
        let others = doc.aliases.iter().flat_map(|a| [a.to_lowercase(), (*a).to_owned()]);
        Adapter {
            function,
            name: doc.name.to_lowercase(),
            aliases: std::iter::once(doc.name.to_owned()).chain(others).collect(),
            signature: Signature::one_of(vec![TypeSignature::UserDefined, TypeSignature::Nullary], volatility),
            bound: Mutex::default(),
            on_errors,
        }
    }

    /// The overload for arguments of those Arrow types.
    fn bind(&self, types: &[DataType]) -> DfResult<BoundScalar> {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = bound.get(types) {
            return Ok(known.clone());
        }
        let found = self.resolve(types)?;
        if bound.len() >= OVERLOADS_MAX {
            bound.clear();
        }
        bound.insert(types.to_vec(), found.clone());
        Ok(found)
    }

    fn resolve(&self, types: &[DataType]) -> DfResult<BoundScalar> {
        let mut args = Vec::with_capacity(types.len());
        for ty in types {
            args.push(match (ty, SqlType::from_arrow(ty)) {
                (DataType::Null, _) => ArgType::Value(None),
                (_, Some(ty)) => ArgType::Value(Some(ty)),
                (other, None) => return plan_err!("{} does not take {other}", self.function.doc().name),
            });
        }
        let as_typed = self.function.bind(&args);
        // `1` is a BIGINT to DataFusion and an INT to us.
        let narrow = |arg: &ArgType| match arg {
            ArgType::Value(Some(SqlType::BigInt)) => ArgType::Value(Some(SqlType::Int)),
            other => other.clone(),
        };
        let narrowed: Vec<ArgType> = args.iter().map(narrow).collect();
        as_typed.or_else(|error| self.function.bind(&narrowed).map_err(|_| error)).map_err(external)
    }
}

/// The Arrow types of the arguments that `bound` takes.
fn wanted(bound: &BoundScalar) -> DfResult<Vec<DataType>> {
    let mut types = Vec::with_capacity(bound.arg_types.len());
    for arg in &bound.arg_types {
        types.push(match arg {
            ArgType::Value(Some(ty)) => ty.to_arrow(),
            ArgType::Value(None) => DataType::Null,
            _ => return plan_err!("lambdas and units of time cannot be arguments in this query"),
        });
    }
    Ok(types)
}

impl ScalarUDFImpl for Adapter {
    fn name(&self) -> &str {
        &self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> DfResult<Vec<DataType>> {
        wanted(&self.bind(arg_types)?)
    }

    fn return_type(&self, arg_types: &[DataType]) -> DfResult<DataType> {
        Ok(self.bind(arg_types)?.return_type.to_arrow())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let bound = self.bind(&types)?;
        let mut values = Vec::with_capacity(args.args.len());
        for (value, ty) in args.args.into_iter().zip(wanted(&bound)?) {
            values.push(match value {
                ColumnarValue::Array(array) if *array.data_type() == ty => Arg::Column(array),
                ColumnarValue::Array(array) => Arg::Column(cast(&array, &ty)?),
                ColumnarValue::Scalar(scalar) => Arg::Constant(cast(&scalar.to_array_of_size(1)?, &ty)?),
            });
        }
        let constant = bound.deterministic && !values.is_empty() && values.iter().all(Arg::is_constant);
        let rows = if constant { 1 } else { args.number_rows };
        let mut errors = RowErrors::default();
        let array = bound.kernel.evaluate(&values, rows, &mut errors).map_err(external)?;
        if let Some((_, reason)) = errors.rows.first() {
            (self.on_errors)(self.function.doc().name, errors.rows.len(), reason);
        }
        match array.len() {
            len if len == args.number_rows && !constant => Ok(ColumnarValue::Array(array)),
            1 => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)),
            len => internal_err!("{} gave {len} rows for {}", self.name, args.number_rows),
        }
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Adapter({})", self.name)
    }
}

impl PartialEq for Adapter {
    fn eq(&self, other: &Adapter) -> bool {
        self.name == other.name
    }
}

impl Eq for Adapter {}

impl Hash for Adapter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::util::pretty::pretty_format_batches,
        prelude::{SessionConfig, SessionContext},
    };

    use super::*;
    use crate::expr::udaf::aggregate_udfs;

    /// The only value of a query.
    fn value(sql: &str) -> String {
        value_and_errors(sql).0
    }

    /// The only value of a query, and what failed.
    fn value_and_errors(sql: &str) -> (String, Vec<String>) {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        let on_errors: OnRowErrors = Arc::new(move |name, rows, _| {
            tell.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{name} {rows}"));
        });
        for function in scalar_udfs(&on_errors) {
            context.register_udf(function.as_ref().clone());
        }
        for function in aggregate_udfs() {
            context.register_udaf(function.as_ref().clone());
        }
        let run = async { context.sql(sql).await?.collect().await };
        let batches = futures_executor(run).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let table = pretty_format_batches(&batches).expect("a table").to_string();
        let value = table.lines().nth(3).map(|l| l.trim_matches(['|', ' ']).to_owned()).unwrap_or_default();
        let told = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
        (value, told)
    }

    /// Nothing here waits, so polling until it is ready is enough.
    fn futures_executor<T>(future: impl std::future::Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(future)
    }

    #[test]
    fn datafusion_calls_our_kernels() {
        assert_eq!(value("SELECT initcap('hello world')"), "Hello World");
        assert_eq!(value("SELECT SUBSTRING('stream', 1, 3)"), "str");
        assert_eq!(value("SELECT mask('My Test')"), "Xx-Xxxx");
        assert_eq!(value("SELECT regexp_extract('(.*) (.*)', t, 2) FROM (VALUES ('hello there')) AS v(t)"), "there");
        assert_eq!(value("SELECT CAST(parse_date(t, 'yyyy') AS VARCHAR) FROM (VALUES ('no year')) AS v(t)"), "");
    }

    #[test]
    fn rows_that_fail_are_told() {
        let failing = "SELECT MAX(parse_date(t, 'yyyy')) FROM (VALUES ('no year'), ('2020'), ('nor this')) AS v(t)";
        assert_eq!(value_and_errors(failing), ("2020-01-01".to_owned(), vec!["PARSE_DATE 2".to_owned()]));
    }

    #[test]
    fn datafusion_folds_with_our_aggregates() {
        assert_eq!(value("SELECT TOPK(x, 2) FROM (VALUES (1), (5), (3)) AS v(x)"), "[5, 3]");
        assert_eq!(value("SELECT collect_set(x) FROM (VALUES ('a'), ('b'), ('a')) AS v(x)"), "[a, b]");
        assert_eq!(value("SELECT histogram(x) FROM (VALUES ('a'), ('a')) AS v(x) GROUP BY 1 > 0"), "{a: 2}");
    }
}
