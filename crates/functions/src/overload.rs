//! Which overload of a function a call means: ksqlDB's rules, for every function of this crate.
//!
//! A function lists the shapes of arguments that it takes. A shape may hold type variables (`T`), which stand for one
//! type throughout the call. First an overload is sought that takes the arguments as they are; where there is none,
//! one that takes them after implicit conversions (INT → BIGINT → DECIMAL → DOUBLE, also inside of ARRAY, MAP, STRUCT),
//! the shortest way winning; a STRING may stand for a DATE, TIME or TIMESTAMP. The literal NULL fits everything.

use std::{collections::BTreeMap, fmt};

use types::{Error, Result, SqlType};

use crate::{ArgType, operator};

/// What one parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param {
    /// BOOLEAN.
    Boolean,
    /// INTEGER.
    Int,
    /// BIGINT.
    BigInt,
    /// DOUBLE.
    Double,
    /// DECIMAL of whatever precision and scale.
    Decimal,
    /// STRING.
    String,
    /// BYTES.
    Bytes,
    /// DATE.
    Date,
    /// TIME.
    Time,
    /// TIMESTAMP.
    Timestamp,
    /// A value of any type.
    Any,
    /// A value of the type that the variable of that name stands for in this call.
    Var(char),
    /// ARRAY of such elements.
    Array(&'static Param),
    /// MAP of such keys and values.
    Map(&'static Param, &'static Param),
    /// Any STRUCT.
    Struct,
    /// A bare unit of time (`SECONDS`).
    Unit,
    /// A lambda of such parameters with such a body.
    Lambda(&'static [Param], &'static Param),
}

/// The parameters of one overload.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// One per argument.
    pub params: &'static [Param],
    /// Takes any number (none, too) of further arguments, after `params`.
    pub rest: Option<Param>,
}

impl Shape {
    /// Exactly these parameters.
    pub const fn new(params: &'static [Param]) -> Shape {
        Shape { params, rest: None }
    }

    /// These parameters, then any number of `rest`.
    pub const fn variadic(params: &'static [Param], rest: Param) -> Shape {
        Shape { params, rest: Some(rest) }
    }

    /// The parameter that takes argument `at`.
    pub fn param(&self, at: usize) -> Option<Param> {
        self.params.get(at).copied().or(self.rest)
    }

    fn takes_count(&self, count: usize) -> bool {
        count == self.params.len() || (count > self.params.len() && self.rest.is_some())
    }
}

/// An overload that was found.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Its place in the list.
    pub index: usize,
    /// What the caller casts the arguments to; one per argument. Lambdas and units as they came.
    pub arg_types: Vec<ArgType>,
    /// What the type variables stand for. A variable that only NULLs would tell is STRING.
    pub vars: BTreeMap<char, SqlType>,
}

impl Resolved {
    /// The type to which argument `at` is cast; STRING where it is no value.
    pub fn value(&self, at: usize) -> SqlType {
        match self.arg_types.get(at) {
            Some(ArgType::Value(Some(ty))) => ty.clone(),
            _ => SqlType::String,
        }
    }

    /// What `param` is in this call. DECIMAL is the first argument's, when that is one.
    pub fn instance(&self, param: &Param) -> SqlType {
        if *param == Param::Decimal {
            let decimals = self.arg_types.iter().filter_map(|a| match a {
                ArgType::Value(Some(ty @ SqlType::Decimal { .. })) => Some(ty.clone()),
                _ => None,
            });
            return decimals.into_iter().next().unwrap_or(ANY_DECIMAL);
        }
        instance(param, &self.vars)
    }
}

/// The DECIMAL that a NULL is where one is wanted.
const ANY_DECIMAL: SqlType = SqlType::Decimal { precision: 10, scale: 0 };

/// The overload of function `name` among `shapes` for `args`.
///
/// Lambdas that are not bound yet match by their number of parameters alone. The error (42883) names the function, the
/// types given and the shapes that exist.
pub fn resolve(name: &str, shapes: &[Shape], args: &[ArgType]) -> Result<Resolved> {
    let exact = shapes.iter().enumerate().filter_map(|(i, s)| attempt(i, s, args, false));
    let best =
        best_of(exact).or_else(|| best_of(shapes.iter().enumerate().filter_map(|(i, s)| attempt(i, s, args, true))));
    best.ok_or_else(|| no_overload(name, shapes, args))
}

/// The types of the parameters of the (unbound) lambda at argument `at`, from what the other arguments tell.
pub fn lambda_params(name: &str, shapes: &[Shape], at: usize, args: &[ArgType]) -> Result<Vec<SqlType>> {
    let resolved = resolve(name, shapes, args)?;
    match shapes.get(resolved.index).and_then(|s| s.param(at)) {
        Some(Param::Lambda(params, _)) => Ok(params.iter().map(|p| instance(p, &resolved.vars)).collect()),
        _ => Err(no_overload(name, shapes, args)),
    }
}

/// "Function … does not take (…)", with the shapes that exist.
pub fn no_overload(name: &str, shapes: &[Shape], args: &[ArgType]) -> Error {
    let given: Vec<String> = args.iter().map(describe).collect();
    let given = given.join(", ");
    let known: Vec<String> = shapes.iter().map(|s| format!("{name}{s}")).collect();
    Error::undefined_function(format!(
        "Function '{name}' does not accept arguments of types ({given}). It accepts: {}",
        known.join("; ")
    ))
    .with_hint(format!("DESCRIBE FUNCTION {name}; tells what it takes"))
}

/// An argument's type as error messages show it.
pub fn describe(arg: &ArgType) -> String {
    match arg {
        ArgType::Value(Some(ty)) => ty.to_string(),
        ArgType::Value(None) => "NULL".to_owned(),
        ArgType::UnboundLambda(count) => format!("LAMBDA of {count}"),
        ArgType::Lambda(params, body) => {
            let params: Vec<String> = params.iter().map(ToString::to_string).collect();
            let body = body.as_ref().map_or_else(|| "NULL".to_owned(), ToString::to_string);
            format!("LAMBDA ({}) => {body}", params.join(", "))
        }
        ArgType::TimeUnit(_) => "INTERVALUNIT".to_owned(),
    }
}

struct Match {
    resolved: Resolved,
    /// Less is better: cost of conversions, variadic, count of generic parameters, place in the list.
    rank: (u32, bool, usize, usize),
}

fn best_of(matches: impl Iterator<Item = Match>) -> Option<Resolved> {
    matches.min_by_key(|m| m.rank).map(|m| m.resolved)
}

fn attempt(index: usize, shape: &Shape, args: &[ArgType], casts: bool) -> Option<Match> {
    if !shape.takes_count(args.len()) {
        return None;
    }
    let params: Vec<Param> = (0..args.len()).map(|at| shape.param(at)).collect::<Option<_>>()?;
    let mut vars: BTreeMap<char, Vec<Option<SqlType>>> = BTreeMap::new();
    for (param, arg) in params.iter().zip(args) {
        collect_arg(param, arg, &mut vars)?;
    }
    let vars = settle(vars, casts)?;
    let mut cost = 0_u32;
    let mut arg_types = Vec::with_capacity(args.len());
    for (param, arg) in params.iter().zip(args) {
        let (to, step) = convert(param, arg, &vars, casts)?;
        cost = cost.saturating_add(step);
        arg_types.push(to);
    }
    let generics = params.iter().filter(|p| matches!(p, Param::Var(_) | Param::Any)).count();
    let rank = (cost, shape.rest.is_some(), generics, index);
    Some(Match { resolved: Resolved { index, arg_types, vars }, rank })
}

/// Note what `arg` says of the variables in `param`; `None` if it cannot be one.
fn collect_arg(param: &Param, arg: &ArgType, vars: &mut BTreeMap<char, Vec<Option<SqlType>>>) -> Option<()> {
    match (param, arg) {
        (Param::Lambda(params, _), ArgType::UnboundLambda(count)) => (params.len() == *count).then_some(()),
        (Param::Lambda(params, body), ArgType::Lambda(types, result)) => {
            if params.len() != types.len() {
                return None;
            }
            for (param, ty) in params.iter().zip(types) {
                collect(param, Some(ty), vars)?;
            }
            collect(body, result.as_ref(), vars)
        }
        (Param::Unit, ArgType::TimeUnit(_)) => Some(()),
        (Param::Lambda(..) | Param::Unit, _) => None,
        (_, ArgType::Value(ty)) => collect(param, ty.as_ref(), vars),
        _ => None,
    }
}

fn collect(param: &Param, ty: Option<&SqlType>, vars: &mut BTreeMap<char, Vec<Option<SqlType>>>) -> Option<()> {
    match (param, ty) {
        (Param::Var(name), ty) => vars.entry(*name).or_default().push(ty.cloned()),
        (Param::Array(element), Some(SqlType::Array(ty))) => collect(element, Some(ty), vars)?,
        (Param::Array(element), None) => collect(element, None, vars)?,
        (Param::Map(key, value), Some(SqlType::Map(key_ty, value_ty))) => {
            collect(key, Some(key_ty), vars)?;
            collect(value, Some(value_ty), vars)?;
        }
        (Param::Map(key, value), None) => {
            collect(key, None, vars)?;
            collect(value, None, vars)?;
        }
        (Param::Array(_) | Param::Map(..), Some(_)) => return None,
        _ => {}
    }
    Some(())
}

/// One type a variable: the same everywhere, or with `casts` the common one.
fn settle(vars: BTreeMap<char, Vec<Option<SqlType>>>, casts: bool) -> Option<BTreeMap<char, SqlType>> {
    let mut settled = BTreeMap::new();
    for (name, types) in vars {
        let ty = if casts {
            operator::common_type(&types).ok()?
        } else {
            let mut known = types.iter().flatten();
            let first = known.next();
            if known.any(|ty| Some(ty) != first) {
                return None;
            }
            first.cloned()
        };
        settled.insert(name, ty.unwrap_or(SqlType::String));
    }
    Some(settled)
}

/// What to cast `arg` to so that it fits `param`, and how far that is from what it is.
fn convert(param: &Param, arg: &ArgType, vars: &BTreeMap<char, SqlType>, casts: bool) -> Option<(ArgType, u32)> {
    let ArgType::Value(from) = arg else { return Some((arg.clone(), 0)) };
    let Some(from) = from else { return Some((ArgType::Value(Some(instance(param, vars))), 0)) };
    let to = target(param, from, vars)?;
    if to == *from {
        return Some((ArgType::Value(Some(to)), 0));
    }
    let text_as_time = *from == SqlType::String && to.is_temporal();
    if !casts || !(text_as_time || operator::implicitly_castable(from, &to)) {
        return None;
    }
    let cost = 1 + rank(&to).abs_diff(rank(from));
    Some((ArgType::Value(Some(to)), cost))
}

/// The instance of `param` nearest to `from`.
fn target(param: &Param, from: &SqlType, vars: &BTreeMap<char, SqlType>) -> Option<SqlType> {
    Some(match param {
        Param::Any => from.clone(),
        Param::Struct => match from {
            SqlType::Struct(_) => from.clone(),
            _ => return None,
        },
        Param::Decimal => {
            let (precision, scale) = from.as_decimal()?;
            SqlType::Decimal { precision, scale }
        }
        Param::Array(element) => match from {
            SqlType::Array(ty) => SqlType::Array(Box::new(target(element, ty, vars)?)),
            _ => return None,
        },
        Param::Map(key, value) => match from {
            SqlType::Map(key_ty, value_ty) => {
                SqlType::Map(Box::new(target(key, key_ty, vars)?), Box::new(target(value, value_ty, vars)?))
            }
            _ => return None,
        },
        other => instance(other, vars),
    })
}

fn instance(param: &Param, vars: &BTreeMap<char, SqlType>) -> SqlType {
    match param {
        Param::Boolean => SqlType::Boolean,
        Param::Int => SqlType::Int,
        Param::BigInt => SqlType::BigInt,
        Param::Double => SqlType::Double,
        Param::Decimal => ANY_DECIMAL,
        Param::Bytes => SqlType::Bytes,
        Param::Date => SqlType::Date,
        Param::Time => SqlType::Time,
        Param::Timestamp => SqlType::Timestamp,
        Param::Var(name) => vars.get(name).cloned().unwrap_or(SqlType::String),
        Param::Array(element) => SqlType::Array(Box::new(instance(element, vars))),
        Param::Map(key, value) => SqlType::Map(Box::new(instance(key, vars)), Box::new(instance(value, vars))),
        Param::Struct => SqlType::Struct(Vec::new()),
        Param::String | Param::Any | Param::Unit | Param::Lambda(..) => SqlType::String,
    }
}

/// Place in the chain of numeric types.
fn rank(ty: &SqlType) -> u32 {
    match ty {
        SqlType::Int => 0,
        SqlType::BigInt => 1,
        SqlType::Decimal { .. } => 2,
        SqlType::Double => 3,
        SqlType::Array(element) => rank(element),
        SqlType::Map(key, value) => rank(key) + rank(value),
        _ => 4,
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Param::Boolean => f.write_str("BOOLEAN"),
            Param::Int => f.write_str("INTEGER"),
            Param::BigInt => f.write_str("BIGINT"),
            Param::Double => f.write_str("DOUBLE"),
            Param::Decimal => f.write_str("DECIMAL"),
            Param::String => f.write_str("STRING"),
            Param::Bytes => f.write_str("BYTES"),
            Param::Date => f.write_str("DATE"),
            Param::Time => f.write_str("TIME"),
            Param::Timestamp => f.write_str("TIMESTAMP"),
            Param::Any => f.write_str("ANY"),
            Param::Var(name) => write!(f, "{name}"),
            Param::Array(element) => write!(f, "ARRAY<{element}>"),
            Param::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Param::Struct => f.write_str("STRUCT"),
            Param::Unit => f.write_str("INTERVALUNIT"),
            Param::Lambda(params, body) => {
                let params: Vec<String> = params.iter().map(ToString::to_string).collect();
                write!(f, "LAMBDA ({}) => {body}", params.join(", "))
            }
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut params: Vec<String> = self.params.iter().map(ToString::to_string).collect();
        params.extend(self.rest.map(|p| format!("{p}...")));
        write!(f, "({})", params.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Param::{Array, BigInt, Decimal, Double, Int, Lambda, String, Timestamp, Var};

    fn value(ty: SqlType) -> ArgType {
        ArgType::Value(Some(ty))
    }

    const NUMBERS: &[Shape] =
        &[Shape::new(&[Int]), Shape::new(&[BigInt]), Shape::new(&[Decimal]), Shape::new(&[Double])];

    #[test]
    fn the_nearest_overload() {
        let check = |shapes: &[Shape], args: &[ArgType], expect: Option<usize>| {
            assert_eq!(resolve("F", shapes, args).ok().map(|r| r.index), expect, "{args:?}");
        };
        check(NUMBERS, &[value(SqlType::BigInt)], Some(1));
        check(NUMBERS, &[value(SqlType::Decimal { precision: 4, scale: 2 })], Some(2));
        check(NUMBERS, &[ArgType::Value(None)], Some(0));
        check(NUMBERS, &[value(SqlType::String)], None);
        check(NUMBERS, &[], None);
        check(&NUMBERS[2..], &[value(SqlType::Int)], Some(0));
        check(&NUMBERS[3..], &[value(SqlType::Decimal { precision: 4, scale: 2 })], Some(0));
        check(&[Shape::new(&[Timestamp])], &[value(SqlType::String)], Some(0));
        let variadic = &[Shape::variadic(&[String], String), Shape::new(&[String, String])];
        check(variadic, &[value(SqlType::String), value(SqlType::String)], Some(1));
        check(variadic, &[value(SqlType::String)], Some(0));
        check(variadic, &[value(SqlType::String), ArgType::Value(None), value(SqlType::String)], Some(0));
    }

    #[test]
    fn type_variables() {
        let shapes = &[Shape::new(&[Array(&Var('T')), Var('T')])];
        let array = |ty| value(SqlType::Array(Box::new(ty)));
        let resolved = resolve("F", shapes, &[array(SqlType::Int), value(SqlType::BigInt)]).expect("fits");
        assert_eq!(resolved.arg_types, [array(SqlType::BigInt), value(SqlType::BigInt)]);
        assert_eq!(resolved.instance(&Var('T')), SqlType::BigInt);
        assert!(resolve("F", shapes, &[array(SqlType::Int), value(SqlType::String)]).is_err());
        let nulls = resolve("F", shapes, &[ArgType::Value(None), ArgType::Value(None)]).expect("fits");
        assert_eq!(nulls.value(0), SqlType::Array(Box::new(SqlType::String)));
    }

    #[test]
    fn lambdas() {
        let shapes = &[Shape::new(&[Array(&Var('T')), Lambda(&[Var('T')], &Var('U'))])];
        let array = value(SqlType::Array(Box::new(SqlType::Int)));
        let params = lambda_params("F", shapes, 1, &[array.clone(), ArgType::UnboundLambda(1)]);
        assert_eq!(params.ok(), Some(vec![SqlType::Int]));
        assert!(lambda_params("F", shapes, 1, &[array.clone(), ArgType::UnboundLambda(2)]).is_err());
        let bound = ArgType::Lambda(vec![SqlType::Int], Some(SqlType::Double));
        let resolved = resolve("F", shapes, &[array, bound]).expect("fits");
        assert_eq!(resolved.instance(&Array(&Var('U'))), SqlType::Array(Box::new(SqlType::Double)));
    }

    #[test]
    fn the_error_names_all() {
        let error = resolve("ABS", NUMBERS, &[value(SqlType::String), ArgType::Value(None)]).expect_err("does not fit");
        let expect = "Function 'ABS' does not accept arguments of types (STRING, NULL). \
                      It accepts: ABS(INTEGER); ABS(BIGINT); ABS(DECIMAL); ABS(DOUBLE)";
        assert_eq!(error.message(), expect);
        assert_eq!(error.sqlstate(), "42883");
    }
}
