//! `+ - * / %` and the sign.
//!
//! INT and BIGINT wrap around as Java's do and fail on division by zero; DOUBLE follows IEEE 754. DECIMAL results have
//! ksqlDB's precision and scale as long as those have no more than 38 digits; beyond, the scale gives way (not below
//! 6), as digits before the point matter more. `+` on two STRINGs joins them.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, Datum, Decimal128Array, Scalar, StringArray},
    compute::kernels::numeric,
    datatypes::{ArrowPrimitiveType, Decimal128Type, Int32Type, Int64Type},
};
use bigdecimal::num_bigint::BigInt;
use types::{DECIMAL_PRECISION_MAX, Error, Result, SqlType};

use crate::{
    Arg, ArgType, BoundScalar, RowErrors,
    javanum::{divide_big_half_up, divide_half_up, fit_decimal, power_of_ten, rescale},
    kernel::{View, closure, collect, collect_decimals, row_count},
    overload::describe,
};

use super::coercion::numeric_common_type;

/// `+ - * / %`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// `+`; on strings: concatenation.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Modulo,
}

/// Digits behind the point that a DECIMAL keeps where its precision must be cut to what fits.
const SCALE_KEPT_MIN: u32 = 6;

const DIVISION_BY_ZERO: &str = "division by zero";

/// `left op right`, with ksqlDB's result types (DECIMAL precision rules included).
pub fn bind_arithmetic(op: Arithmetic, left: &ArgType, right: &ArgType) -> Result<BoundScalar> {
    let unsupported = || {
        let (left, right) = (describe(left), describe(right));
        Error::type_mismatch(format!("Arithmetic on types {left} and {right} is not supported"))
    };
    let (ArgType::Value(Some(a)), ArgType::Value(Some(b))) = (left, right) else { return Err(unsupported()) };
    if op == Arithmetic::Add && *a == SqlType::String && *b == SqlType::String {
        return Ok(bound(SqlType::String, SqlType::String, SqlType::String, concat_kernel));
    }
    if !a.is_numeric() || !b.is_numeric() {
        return Err(unsupported());
    }
    let is_decimal = |ty: &SqlType| matches!(ty, SqlType::Decimal { .. });
    if let (true, Some(a), Some(b)) = (is_decimal(a) || is_decimal(b), a.as_decimal(), b.as_decimal()) {
        return Ok(bind_decimal(op, a, b));
    }
    let ty = numeric_common_type(a, b).ok_or_else(unsupported)?;
    let of = |ty: &SqlType| ty.clone();
    Ok(match ty {
        SqlType::Int => {
            bound(of(&ty), of(&ty), ty, move |args, rows, errors| integers::<Int32Type>(op, args, rows, errors))
        }
        SqlType::BigInt => {
            bound(of(&ty), of(&ty), ty, move |args, rows, errors| integers::<Int64Type>(op, args, rows, errors))
        }
        _ => bound(of(&ty), of(&ty), ty, move |args, rows, _| doubles(op, args, rows)),
    })
}

/// `- operand`.
pub fn bind_negate(operand: &ArgType) -> Result<BoundScalar> {
    let ArgType::Value(Some(ty)) = operand else {
        return Err(Error::type_mismatch(format!("The sign of {} is not defined", describe(operand))));
    };
    if !ty.is_numeric() {
        return Err(Error::type_mismatch(format!("Type {ty} has no sign to change")));
    }
    let kernel = closure(|args: &[Arg], rows, _: &mut RowErrors| {
        let operand = first(args, 0)?;
        let negated = numeric::neg_wrapping(operand.array()?.as_ref()).map_err(internal)?;
        Ok(widen(negated, operand.is_constant(), row_count(args, rows)))
    });
    let ty = ty.clone();
    Ok(BoundScalar { arg_types: vec![ArgType::Value(Some(ty.clone()))], return_type: ty, kernel, deterministic: true })
}

fn bound<F>(left: SqlType, right: SqlType, return_type: SqlType, kernel: F) -> BoundScalar
where
    F: Fn(&[Arg], usize, &mut RowErrors) -> Result<ArrayRef> + Send + Sync + 'static,
{
    let arg_types = vec![ArgType::Value(Some(left)), ArgType::Value(Some(right))];
    BoundScalar { arg_types, return_type, kernel: closure(kernel), deterministic: true }
}

fn first(args: &[Arg], at: usize) -> Result<&Arg> {
    args.get(at).ok_or_else(|| Error::internal("an operator got too few operands"))
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("arithmetic: {error}"))
}

/// A constant computed alone stands for `rows` rows only if those are 0 or 1; longer it is never asked for.
fn widen(array: ArrayRef, constant: bool, rows: usize) -> ArrayRef {
    if constant && rows == 0 { array.slice(0, 0) } else { array }
}

fn concat_kernel(args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<ArrayRef> {
    let (left, right) = (first(args, 0)?.view::<StringArray>()?, first(args, 1)?.view::<StringArray>()?);
    Ok(collect::<StringArray, String, String>(row_count(args, rows), errors, |row| {
        Ok(left.get(row).zip(right.get(row)).map(|(a, b)| [a, b].concat()))
    }))
}

/// Arrow's wrapping kernels on columns and scalars.
fn vectorized(op: Arithmetic, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef> {
    match op {
        Arithmetic::Add => numeric::add_wrapping(left, right),
        Arithmetic::Subtract => numeric::sub_wrapping(left, right),
        Arithmetic::Multiply => numeric::mul_wrapping(left, right),
        Arithmetic::Divide => numeric::div(left, right),
        Arithmetic::Modulo => numeric::rem(left, right),
    }
    .map_err(internal)
}

fn on_datums(op: Arithmetic, args: &[Arg], rows: usize) -> Result<ArrayRef> {
    let (left, right) = (first(args, 0)?, first(args, 1)?);
    let (a, b) = (left.array()?, right.array()?);
    if row_count(args, rows) == 0 {
        return Ok(a.slice(0, 0));
    }
    match (left.is_constant(), right.is_constant()) {
        (false, false) | (true, true) => vectorized(op, a, b),
        (true, false) => vectorized(op, &Scalar::new(Arc::clone(a)), b),
        (false, true) => vectorized(op, a, &Scalar::new(Arc::clone(b))),
    }
}

fn doubles(op: Arithmetic, args: &[Arg], rows: usize) -> Result<ArrayRef> {
    on_datums(op, args, rows)
}

/// What Java does where two's complement leaves nothing else: `MIN / -1` is `MIN`.
trait JavaInteger: Copy + PartialEq + Default {
    fn wrapping_divide(self, divisor: Self) -> Self;
    fn wrapping_modulo(self, divisor: Self) -> Self;
}

impl JavaInteger for i32 {
    fn wrapping_divide(self, divisor: i32) -> i32 {
        self.wrapping_div(divisor)
    }
    fn wrapping_modulo(self, divisor: i32) -> i32 {
        self.wrapping_rem(divisor)
    }
}

impl JavaInteger for i64 {
    fn wrapping_divide(self, divisor: i64) -> i64 {
        self.wrapping_div(divisor)
    }
    fn wrapping_modulo(self, divisor: i64) -> i64 {
        self.wrapping_rem(divisor)
    }
}

fn integers<T>(op: Arithmetic, args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: JavaInteger,
    arrow::array::PrimitiveArray<T>: FromIterator<Option<T::Native>>,
{
    if !matches!(op, Arithmetic::Divide | Arithmetic::Modulo) {
        return on_datums(op, args, rows);
    }
    let compute = |a: T::Native, b: T::Native| match op {
        Arithmetic::Divide => a.wrapping_divide(b),
        _ => a.wrapping_modulo(b),
    };
    let left: View<'_, arrow::array::PrimitiveArray<T>> = first(args, 0)?.view()?;
    let right: View<'_, arrow::array::PrimitiveArray<T>> = first(args, 1)?.view()?;
    let zero = T::Native::default();
    let divisor = right.get(0).filter(|divisor| right.is_constant() && !left.is_constant() && *divisor != zero);
    if let Some(divisor) = divisor {
        return Ok(Arc::new(left.array.unary::<_, T>(|a| compute(a, divisor))));
    }
    Ok(collect::<arrow::array::PrimitiveArray<T>, _, &str>(row_count(args, rows), errors, |row| {
        match left.get(row).zip(right.get(row)) {
            Some((_, b)) if b == zero => Err(DIVISION_BY_ZERO),
            pair => Ok(pair.map(|(a, b)| compute(a, b))),
        }
    }))
}

/// A DECIMAL operation, all that its kernel needs to know.
#[derive(Clone, Copy)]
struct DecimalOp {
    op: Arithmetic,
    left_scale: u8,
    right_scale: u8,
    precision: u8,
    scale: u8,
    /// No intermediate result has more than 38 digits, and none needs rounding or a check.
    simple: bool,
}

fn bind_decimal(op: Arithmetic, (p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> BoundScalar {
    let (a, b, c, d) = (u32::from(p1), u32::from(s1), u32::from(p2), u32::from(s2));
    let (precision, scale) = match op {
        Arithmetic::Add | Arithmetic::Subtract => ((a - b).max(c - d) + b.max(d) + 1, b.max(d)),
        Arithmetic::Multiply => (a + c + 1, b + d),
        Arithmetic::Divide => {
            let scale = SCALE_KEPT_MIN.max(b + c + 1);
            (a - b + d + scale, scale)
        }
        Arithmetic::Modulo => ((a - b).min(c - d) + b.max(d), b.max(d)),
    };
    // The remainder of 0.5 % 7 has digits behind the point only.
    let precision = precision.max(1);
    let max = u32::from(DECIMAL_PRECISION_MAX);
    let simple = precision <= max;
    let (precision, scale) = if simple {
        (precision, scale)
    } else {
        (max, scale.saturating_sub(precision - max).max(scale.min(SCALE_KEPT_MIN)))
    };
    let narrow = |n: u32| u8::try_from(n).unwrap_or(DECIMAL_PRECISION_MAX);
    let what =
        DecimalOp { op, left_scale: s1, right_scale: s2, precision: narrow(precision), scale: narrow(scale), simple };
    let ty = |precision, scale| SqlType::Decimal { precision, scale };
    bound(ty(p1, s1), ty(p2, s2), ty(what.precision, what.scale), move |args, rows, errors| {
        decimals(what, args, rows, errors)
    })
}

fn decimals(what: DecimalOp, args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<ArrayRef> {
    let (left, right) = (first(args, 0)?.view::<Decimal128Array>()?, first(args, 1)?.view::<Decimal128Array>()?);
    let one_is_constant = left.is_constant() != right.is_constant();
    let vectorizable = what.simple && !matches!(what.op, Arithmetic::Divide | Arithmetic::Modulo);
    let n = row_count(args, rows);
    if vectorizable
        && (one_is_constant || !left.is_constant())
        && let Some(column) = decimals_vectorized(what, left, right, n)?
    {
        return Ok(column);
    }
    collect_decimals(n, what.precision, what.scale, errors, |row| match left.get(row).zip(right.get(row)) {
        Some((a, b)) => decimal_row(what, a, b).map(Some),
        None => Ok(None),
    })
}

/// One pass without branches: no digit can be lost. `None` if a constant is NULL.
fn decimals_vectorized(
    what: DecimalOp,
    left: View<'_, Decimal128Array>,
    right: View<'_, Decimal128Array>,
    rows: usize,
) -> Result<Option<ArrayRef>> {
    let factor = |scale: u8| power_of_ten(u32::from(what.scale.saturating_sub(scale))).unwrap_or(1);
    let (fa, fb) = match what.op {
        Arithmetic::Multiply => (1, 1),
        _ => (factor(what.left_scale), factor(what.right_scale)),
    };
    // Slots under a NULL may hold anything, so even here nothing may overflow loudly.
    let compute = move |a: i128, b: i128| match what.op {
        Arithmetic::Add => a.wrapping_mul(fa).wrapping_add(b.wrapping_mul(fb)),
        Arithmetic::Subtract => a.wrapping_mul(fa).wrapping_sub(b.wrapping_mul(fb)),
        _ => a.wrapping_mul(b),
    };
    let array = match (left.is_constant(), right.is_constant()) {
        (true, _) => {
            let Some(a) = left.get(0) else { return Ok(None) };
            right.array.unary::<_, Decimal128Type>(|b| compute(a, b))
        }
        (_, true) => {
            let Some(b) = right.get(0) else { return Ok(None) };
            left.array.unary::<_, Decimal128Type>(|a| compute(a, b))
        }
        _ => arrow::compute::binary::<_, _, _, Decimal128Type>(left.array, right.array, compute).map_err(internal)?,
    };
    if array.len() != rows {
        return Err(Error::internal("the operands of an operator have different lengths"));
    }
    crate::kernel::decimal_array(array, what.precision, what.scale).map(Some)
}

fn decimal_row(what: DecimalOp, a: i128, b: i128) -> Result<i128, String> {
    let overflow =
        || format!("numeric overflow: the result does not fit into DECIMAL({}, {})", what.precision, what.scale);
    if b == 0 && matches!(what.op, Arithmetic::Divide | Arithmetic::Modulo) {
        return Err(DIVISION_BY_ZERO.to_owned());
    }
    let unscaled = decimal_quick(what, a, b).or_else(|| decimal_big(what, a, b)).ok_or_else(overflow)?;
    fit_decimal(unscaled, what.precision, what.scale).map_err(|_| overflow())
}

/// The result in 128 bits, `None` where that is too little.
fn decimal_quick(what: DecimalOp, a: i128, b: i128) -> Option<i128> {
    let scale = what.left_scale.max(what.right_scale);
    match what.op {
        Arithmetic::Multiply => {
            let product = a.checked_mul(b)?;
            let exact = u32::from(what.left_scale) + u32::from(what.right_scale);
            let surplus = power_of_ten(exact - u32::from(what.scale))?;
            Some(divide_half_up(product, surplus))
        }
        Arithmetic::Divide => {
            // (a / 10^s1) / (b / 10^s2) at scale s is a × 10^(s - s1 + s2) / b.
            let shift = i32::from(what.scale) - i32::from(what.left_scale) + i32::from(what.right_scale);
            let dividend = a.checked_mul(power_of_ten(u32::try_from(shift).ok()?)?)?;
            let quotient = divide_half_up(dividend, b.checked_abs()?);
            Some(if b < 0 { -quotient } else { quotient })
        }
        op => {
            let (a, b) = (rescale(a, what.left_scale, scale)?, rescale(b, what.right_scale, scale)?);
            let result = match op {
                Arithmetic::Add => a.checked_add(b)?,
                Arithmetic::Subtract => a.checked_sub(b)?,
                _ => a.checked_rem(b)?,
            };
            rescale(result, scale, what.scale)
        }
    }
}

/// The same in integers without bounds.
fn decimal_big(what: DecimalOp, a: i128, b: i128) -> Option<i128> {
    let power = |exponent: i32| BigInt::from(10).pow(u32::try_from(exponent.max(0)).unwrap_or(0));
    let (s1, s2, s) = (i32::from(what.left_scale), i32::from(what.right_scale), i32::from(what.scale));
    let (a, b) = (BigInt::from(a), BigInt::from(b));
    match what.op {
        Arithmetic::Multiply => divide_big_half_up(&(a * b), &power(s1 + s2 - s)),
        Arithmetic::Divide => {
            let shift = s - s1 + s2;
            divide_big_half_up(&(a * power(shift)), &(b * power(-shift)))
        }
        op => {
            let scale = s1.max(s2);
            let (a, b) = (a * power(scale - s1), b * power(scale - s2));
            let result = match op {
                Arithmetic::Add => a + b,
                Arithmetic::Subtract => a - b,
                _ => a % b,
            };
            divide_big_half_up(&result, &power(scale - s))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int32Array};
    use bigdecimal::{BigDecimal, RoundingMode};
    use proptest::prelude::*;

    fn dec(precision: u8, scale: u8) -> SqlType {
        SqlType::Decimal { precision, scale }
    }

    fn bind(op: Arithmetic, a: &SqlType, b: &SqlType) -> Result<BoundScalar> {
        bind_arithmetic(op, &ArgType::Value(Some(a.clone())), &ArgType::Value(Some(b.clone())))
    }

    #[test]
    fn result_types() {
        let check = |op, a: &SqlType, b: &SqlType, expect: &SqlType| {
            assert_eq!(bind(op, a, b).expect("binds").return_type, *expect);
        };
        use Arithmetic::*;
        check(Add, &dec(4, 2), &dec(4, 2), &dec(5, 2));
        check(Add, &dec(4, 2), &SqlType::Int, &dec(13, 2));
        check(Multiply, &dec(4, 2), &dec(4, 2), &dec(9, 4));
        check(Divide, &dec(4, 2), &dec(4, 2), &dec(11, 7));
        check(Modulo, &dec(4, 2), &dec(4, 2), &dec(4, 2));
        check(Add, &dec(4, 2), &SqlType::Double, &SqlType::Double);
        check(Add, &SqlType::Int, &SqlType::BigInt, &SqlType::BigInt);
        check(Multiply, &dec(38, 10), &dec(38, 10), &dec(38, 6));
        assert!(bind(Add, &SqlType::Int, &SqlType::String).is_err());
        assert!(bind_arithmetic(Divide, &ArgType::Value(Some(dec(2, 1))), &ArgType::Value(None)).is_err());
    }

    fn run(op: Arithmetic, a: ArrayRef, b: Arg) -> (ArrayRef, RowErrors) {
        let ty = |array: &ArrayRef| SqlType::from_arrow(array.data_type()).expect("a type");
        let bound = bind(op, &ty(&a), &ty(b.array().expect("a value"))).expect("binds");
        let mut errors = RowErrors::default();
        let rows = a.len();
        let out = bound.kernel.evaluate(&[Arg::Column(a), b], rows, &mut errors).expect("evaluates");
        assert_eq!(*out.data_type(), bound.return_type.to_arrow());
        (out, errors)
    }

    #[test]
    fn integers_wrap_and_fail_on_zero() {
        let column = |values: Vec<Option<i32>>| -> ArrayRef { Arc::new(Int32Array::from(values)) };
        let left = || column(vec![Some(i32::MIN), Some(7), None]);
        let (out, errors) = run(Arithmetic::Divide, left(), Arg::Constant(column(vec![Some(-1)])));
        assert_eq!(&out, &column(vec![Some(i32::MIN), Some(-7), None]));
        assert!(errors.rows.is_empty());
        let (out, errors) = run(Arithmetic::Modulo, left(), Arg::Column(column(vec![Some(-1), Some(0), Some(0)])));
        assert_eq!(&out, &column(vec![Some(0), None, None]));
        assert_eq!(errors.rows, vec![(1, DIVISION_BY_ZERO.to_owned())]);
        let (out, _) = run(Arithmetic::Subtract, left(), Arg::Constant(column(vec![Some(1)])));
        assert_eq!(&out, &column(vec![Some(i32::MAX), Some(6), None]));
    }

    #[test]
    fn doubles_follow_ieee() {
        let column = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
        let (out, errors) = run(Arithmetic::Divide, column(vec![1.0, -1.0]), Arg::Constant(column(vec![0.0])));
        assert_eq!(&out, &column(vec![f64::INFINITY, f64::NEG_INFINITY]));
        assert!(errors.rows.is_empty());
    }

    fn decimals_of(values: &[i128], precision: u8, scale: u8) -> ArrayRef {
        let array = Decimal128Array::from(values.to_vec());
        Arc::new(array.with_precision_and_scale(precision, scale.cast_signed()).expect("fits"))
    }

    fn operation() -> impl Strategy<Value = Arithmetic> {
        use Arithmetic::*;
        proptest::sample::select(vec![Add, Subtract, Multiply, Divide, Modulo])
    }

    fn a_decimal() -> impl Strategy<Value = (i128, u8, u8)> {
        (1_u8..=38).prop_flat_map(|p| {
            let limit = 10_i128.pow(u32::from(p));
            (1 - limit..limit, Just(p), 0..=p)
        })
    }

    proptest! {
        #[test]
        fn decimals_as_big_decimals(
            op in operation(),
            (a, p1, s1) in a_decimal(),
            (b, p2, s2) in a_decimal(),
            constant: bool,
        ) {
            let right = decimals_of(&[b], p2, s2);
            let right = if constant { Arg::Constant(right) } else { Arg::Column(right) };
            let (out, errors) = run(op, decimals_of(&[a], p1, s1), right);
            let out = out.as_any().downcast_ref::<Decimal128Array>().expect("decimals");
            let scale = out.scale();
            let big = |n: i128, s: u8| BigDecimal::new(BigInt::from(n), i64::from(s));
            let (x, y) = (big(a, s1), big(b, s2));
            if b == 0 && matches!(op, Arithmetic::Divide | Arithmetic::Modulo) {
                prop_assert_eq!(errors.rows.len(), 1);
                return Ok(());
            }
            let exact = match op {
                Arithmetic::Add => &x + &y,
                Arithmetic::Subtract => &x - &y,
                Arithmetic::Multiply => &x * &y,
                Arithmetic::Modulo => &x % &y,
                Arithmetic::Divide => {
                    // The quotient times the divisor is the dividend, up to half of a unit in the last place.
                    if out.is_valid(0) {
                        let quotient = BigDecimal::new(BigInt::from(out.value(0)), i64::from(scale));
                        let unit = BigDecimal::new(BigInt::from(1), i64::from(scale));
                        prop_assert!((quotient * &y - &x).abs() * 2 <= unit * y.abs());
                    } else {
                        prop_assert_eq!(errors.rows.len(), 1);
                    }
                    return Ok(());
                }
            };
            let expect = exact.with_scale_round(i64::from(scale), RoundingMode::HalfUp);
            if out.is_valid(0) {
                prop_assert_eq!(BigDecimal::new(BigInt::from(out.value(0)), i64::from(scale)), expect);
            } else {
                prop_assert_eq!(errors.rows.len(), 1);
                let (digits, _) = expect.into_bigint_and_exponent();
                prop_assert!(digits.magnitude() >= BigInt::from(10).pow(u32::from(out.precision())).magnitude());
            }
        }
    }
}
