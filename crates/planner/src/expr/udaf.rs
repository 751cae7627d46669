//! Our aggregate functions for queries that DataFusion runs as a whole, where DataFusion has none of that name.
//!
//! One accumulator holds the states of one group, and a second slot into which partial states of other partitions are
//! loaded before they are merged. Partial states travel as bytes, in the function's own encoding. What comes in which
//! order between partitions is DataFusion's business, so "latest" means the last that was merged.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{DataType, Field, FieldRef},
};
use datafusion::{
    common::{Result as DfResult, ScalarValue, exec_err, internal_err, plan_err},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
    },
    physical_expr::expressions::Literal,
};
use functions::{AggregateFunction, ArgType, BoundAggregate, GroupStates, RowErrors};
use types::SqlType;

use super::{operand::external, udf::is_datafusion_function};

/// The group of an accumulator, and where other states of it are loaded.
const OWN: u32 = 0;
const OTHER: u32 = 1;

/// Every aggregate function that DataFusion does not have, under its name and aliases in lower and in upper case.
pub fn aggregate_udfs() -> Vec<Arc<AggregateUDF>> {
    let ours = functions::aggregate::AGGREGATES.iter().filter(|f| !is_datafusion_function(f.doc().name));
    ours.map(|f| Arc::new(AggregateUDF::new_from_impl(Adapter::new(*f)))).collect()
}

/// One of our aggregate functions as one of DataFusion's.
struct Adapter {
    function: &'static dyn AggregateFunction,
    name: String,
    aliases: Vec<String>,
    signature: Signature,
}

impl Adapter {
    fn new(function: &'static dyn AggregateFunction) -> Adapter {
        let doc = function.doc();
        let others = doc.aliases.iter().flat_map(|a| [a.to_lowercase(), (*a).to_owned()]);
        Adapter {
            function,
            name: doc.name.to_lowercase(),
            aliases: std::iter::once(doc.name.to_owned()).chain(others).collect(),
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    /// Bind to Arrow types. Where the values of constants are not known yet, a 1 stands for them: only types are asked
    /// for then.
    fn bind(&self, types: &[DataType], literals: Option<Vec<Option<ArrayRef>>>) -> DfResult<BoundAggregate> {
        let mut args = Vec::with_capacity(types.len());
        for ty in types {
            args.push(match (ty, SqlType::from_arrow(ty)) {
                (DataType::Null, _) => ArgType::Value(None),
                (_, Some(ty)) => ArgType::Value(Some(ty)),
                (other, None) => return plan_err!("{} does not take {other}", self.function.doc().name),
            });
        }
        // `3` is a BIGINT to DataFusion and an INT to us.
        let narrow = |arg: &ArgType| match arg {
            ArgType::Value(Some(SqlType::BigInt)) => ArgType::Value(Some(SqlType::Int)),
            other => other.clone(),
        };
        let narrowed: Vec<ArgType> = args.iter().map(narrow).collect();
        let of = |args: &[ArgType]| {
            let literals = match &literals {
                Some(known) => narrow_literals(known, args),
                None => args.iter().map(placeholder).collect(),
            };
            self.function.bind(args, &literals)
        };
        let bound = of(&args).or_else(|error| of(&last_narrowed(&args)).map_err(|_| error));
        let bound = bound.or_else(|error| of(&narrowed).map_err(|_| error)).map_err(external)?;
        if bound.merges { Ok(bound) } else { plan_err!("{} cannot be used in this query", self.function.doc().name) }
    }
}

/// `args` with the last one an INT if it is a BIGINT: the k of TOPK.
fn last_narrowed(args: &[ArgType]) -> Vec<ArgType> {
    let mut args = args.to_vec();
    if let Some(last) = args.last_mut()
        && *last == ArgType::Value(Some(SqlType::BigInt))
    {
        *last = ArgType::Value(Some(SqlType::Int));
    }
    args
}

/// A value of the type, where only the type matters.
fn placeholder(arg: &ArgType) -> Option<ArrayRef> {
    let ArgType::Value(Some(ty)) = arg else { return None };
    ScalarValue::new_one(&ty.to_arrow()).ok()?.to_array_of_size(1).ok()
}

/// The literals in the types of `args`.
fn narrow_literals(literals: &[Option<ArrayRef>], args: &[ArgType]) -> Vec<Option<ArrayRef>> {
    let convert = |(literal, arg): (&Option<ArrayRef>, &ArgType)| match (literal, arg) {
        (Some(array), ArgType::Value(Some(ty))) => cast(array, &ty.to_arrow()).ok(),
        _ => None,
    };
    literals.iter().zip(args).map(convert).collect()
}

impl AggregateUDFImpl for Adapter {
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
        Ok(self.bind(arg_types, None)?.arg_types.iter().map(SqlType::to_arrow).collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> DfResult<DataType> {
        Ok(self.bind(arg_types, None)?.return_type.to_arrow())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        if args.is_distinct {
            return plan_err!("{}(DISTINCT …) is not supported", self.function.doc().name);
        }
        let literal =
            |expr: &super::BoundExpr| expr.downcast_ref::<Literal>().and_then(|l| l.value().to_array_of_size(1).ok());
        let literals = args.exprs.iter().map(literal).collect();
        let types: Vec<DataType> = args.expr_fields.iter().map(|f| f.data_type().clone()).collect();
        let bound = self.bind(&types, Some(literals))?;
        let mut states = (bound.make)();
        states.resize(2);
        let arg_types = bound.arg_types.iter().map(SqlType::to_arrow).collect();
        Ok(Box::new(Group { states, arg_types }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> DfResult<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[state]", args.name), DataType::Binary, true))])
    }
}

/// The states of one group.
struct Group {
    states: Box<dyn GroupStates>,
    arg_types: Vec<DataType>,
}

impl Accumulator for Group {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let rows = values.first().map_or(0, |v| v.len());
        let converted = values.iter().zip(&self.arg_types).map(|(v, ty)| cast(v, ty)).collect::<Result<Vec<_>, _>>()?;
        self.states.update(&vec![OWN; rows], &converted, None, &mut RowErrors::default());
        Ok(())
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        ScalarValue::try_from_array(&self.states.values(&[OWN]), 0)
    }

    fn size(&self) -> usize {
        self.states.size_bytes() + size_of::<Group>()
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        let mut bytes = Vec::new();
        self.states.store(OWN as usize, &mut bytes);
        Ok(vec![ScalarValue::Binary(Some(bytes))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        let Some(stored) = states.first().and_then(|s| s.as_binary_opt::<i32>()) else {
            return internal_err!("a partial state is no bytes");
        };
        for bytes in stored.iter().flatten() {
            self.states.reset(OTHER as usize);
            if let Err(error) = self.states.load(OTHER as usize, bytes) {
                return exec_err!("a partial state cannot be read: {error}");
            }
            self.states.merge(OWN as usize, OTHER as usize, true);
        }
        Ok(())
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Group")
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
