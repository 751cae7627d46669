//! Every function with whatever arguments it accepts: nothing panics, and results have the promised type and length.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    StringArray, StructArray, Time32MillisecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Fields};
use proptest::{prelude::*, sample::select, test_runner::TestRunner};
use types::{SqlType, StructField};

use super::SCALARS;
use crate::{Arg, ArgType, RowErrors, bind_cast};

/// Rows of a column.
const ROWS: usize = 4;

/// Types that arguments are tried with.
fn types() -> Vec<SqlType> {
    let array = |ty| SqlType::Array(Box::new(ty));
    vec![
        SqlType::Boolean,
        SqlType::Int,
        SqlType::BigInt,
        SqlType::Double,
        SqlType::Decimal { precision: 38, scale: 10 },
        SqlType::Decimal { precision: 5, scale: 5 },
        SqlType::String,
        SqlType::Bytes,
        SqlType::Date,
        SqlType::Time,
        SqlType::Timestamp,
        array(SqlType::Int),
        array(SqlType::String),
        SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::BigInt)),
        SqlType::Struct(vec![StructField { name: "A".into(), ty: SqlType::Double }]),
    ]
}

/// Texts that functions look into, beside random ones.
fn texts() -> impl Strategy<Value = String> {
    let known = vec![
        "",
        " ",
        "a",
        "(",
        "(a)(b)?",
        "%",
        "yyyy-MM-dd HH:mm:ss.SSSXXX",
        "2020-02-30 24:00",
        "hex",
        "utf8",
        "base64",
        "UTC",
        "America/New_York",
        "http://u@h:99/p?q=%41&r#f",
        "[1, {\"a\": [null, 1e999]}]",
        "{\"a\": \"\\ud800\"}",
        "$.a[0]",
        "\\u0041",
        "-1",
        "9223372036854775808",
        "ß😀é",
        "$1\\",
        "BIG_ENDIAN",
        "KM",
        "'",
        "[",
        "yyyyyyyyy",
        "z",
        "ASC",
    ];
    prop_oneof![3 => select(known).prop_map(str::to_owned), 1 => ".{0,12}"]
}

fn column(ty: &SqlType, rows: usize) -> BoxedStrategy<ArrayRef> {
    fn of<T: std::fmt::Debug + Clone + 'static, A: Array + FromIterator<Option<T>> + 'static>(
        value: impl Strategy<Value = T> + 'static,
        rows: usize,
    ) -> BoxedStrategy<ArrayRef> {
        let values = proptest::collection::vec(proptest::option::weighted(0.85, value), rows);
        values.prop_map(|values| Arc::new(values.into_iter().collect::<A>()) as ArrayRef).boxed()
    }
    let small_or_any = || prop_oneof![(-5_i32..12).boxed(), any::<i32>().boxed()];
    match ty {
        SqlType::Boolean => of::<bool, BooleanArray>(any::<bool>(), rows),
        SqlType::Int => of::<i32, Int32Array>(small_or_any(), rows),
        SqlType::BigInt => of::<i64, Int64Array>(prop_oneof![(-5_i64..12).boxed(), any::<i64>().boxed()], rows),
        SqlType::Double => of::<f64, Float64Array>(prop_oneof![(-5.0..5.0).boxed(), any::<f64>().boxed()], rows),
        SqlType::Decimal { precision, scale } => {
            let limit = 10_i128.pow(u32::from(*precision));
            let (precision, scale) = (*precision, scale.cast_signed());
            of::<i128, Decimal128Array>(1 - limit..limit, rows)
                .prop_map(move |array| {
                    let array = array.as_any().downcast_ref::<Decimal128Array>().expect("decimals").clone();
                    Arc::new(array.with_precision_and_scale(precision, scale).expect("fits")) as ArrayRef
                })
                .boxed()
        }
        SqlType::String => of::<String, StringArray>(texts(), rows),
        SqlType::Bytes => of::<Vec<u8>, BinaryArray>(proptest::collection::vec(any::<u8>(), 0..20), rows),
        SqlType::Date => of::<i32, Date32Array>(any::<i32>(), rows),
        SqlType::Time => of::<i32, Time32MillisecondArray>(0_i32..86_400_000, rows),
        SqlType::Timestamp => {
            of::<i64, TimestampMillisecondArray>(prop_oneof![any::<i64>().boxed(), (0_i64..1 << 42).boxed()], rows)
        }
        SqlType::Array(element) => {
            let field = Arc::new(arrow::datatypes::Field::new("item", element.to_arrow(), true));
            lists(element, rows)
                .prop_map(move |(offsets, values, valid)| {
                    let nulls = Some(valid.into());
                    Arc::new(arrow::array::ListArray::new(Arc::clone(&field), offsets, values, nulls)) as ArrayRef
                })
                .boxed()
        }
        SqlType::Map(_, value) => {
            let DataType::Map(entries, _) = ty.to_arrow() else { panic!("a map") };
            let DataType::Struct(fields) = entries.data_type().clone() else { panic!("a struct") };
            lists(value, rows)
                .prop_map(move |(offsets, values, valid)| {
                    let keys = StringArray::from_iter_values((0..values.len()).map(|i| format!("k{}", i % 3)));
                    let inner = StructArray::new(fields.clone(), vec![Arc::new(keys), values], None);
                    let nulls = Some(valid.into());
                    Arc::new(arrow::array::MapArray::new(Arc::clone(&entries), offsets, inner, nulls, false))
                        as ArrayRef
                })
                .boxed()
        }
        SqlType::Struct(fields) => {
            let columns: Vec<BoxedStrategy<ArrayRef>> = fields.iter().map(|f| column(&f.ty, rows)).collect();
            let DataType::Struct(fields) = ty.to_arrow() else { panic!("a struct") };
            let fields: Fields = fields;
            columns
                .prop_map(move |columns| Arc::new(StructArray::new(fields.clone(), columns, None)) as ArrayRef)
                .boxed()
        }
    }
}

type Lists = (arrow::buffer::OffsetBuffer<i32>, ArrayRef, Vec<bool>);

/// Offsets, elements and validity of lists; what is NULL may have elements.
fn lists(element: &SqlType, rows: usize) -> BoxedStrategy<Lists> {
    let element = element.clone();
    (proptest::collection::vec(0_usize..4, rows), proptest::collection::vec(any::<bool>(), rows))
        .prop_flat_map(move |(lengths, valid)| {
            let total = lengths.iter().sum();
            (Just(arrow::buffer::OffsetBuffer::from_lengths(lengths)), column(&element, total), Just(valid))
        })
        .boxed()
}

/// A random argument: its type, and the value as a column or a constant.
fn argument() -> impl Strategy<Value = (ArgType, Arg)> {
    let value = select(types()).prop_flat_map(|ty| {
        (any::<bool>(), column(&ty, ROWS), column(&ty, 1)).prop_map(move |(constant, column, one)| {
            let arg = if constant { Arg::Constant(one) } else { Arg::Column(column) };
            (ArgType::Value(Some(ty.clone())), arg)
        })
    });
    let unit = select(vec!["DAYS", "HOURS", "MILLISECONDS", "LIGHTYEARS"])
        .prop_map(|unit| (ArgType::TimeUnit(unit.into()), Arg::TimeUnit(unit.into())));
    prop_oneof![12 => value, 1 => unit]
}

fn run(function: &dyn crate::ScalarFunction, args: &[(ArgType, Arg)]) -> bool {
    let types: Vec<ArgType> = args.iter().map(|(ty, _)| ty.clone()).collect();
    let Ok(bound) = function.bind(&types) else { return false };
    let mut errors = RowErrors::default();
    let mut values = Vec::new();
    for ((from, arg), to) in args.iter().zip(&bound.arg_types) {
        let (ArgType::Value(Some(from)), ArgType::Value(Some(to))) = (from, to) else {
            values.push(arg.clone());
            continue;
        };
        let cast = bind_cast(Some(from), to, false).expect("arguments cast");
        let rows = if arg.is_constant() { 1 } else { ROWS };
        let array = cast.kernel.evaluate(std::slice::from_ref(arg), rows, &mut errors).expect("casts evaluate");
        values.push(if arg.is_constant() { Arg::Constant(array) } else { Arg::Column(array) });
    }
    let mut errors = RowErrors::default();
    match bound.kernel.evaluate(&values, ROWS, &mut errors) {
        Ok(out) => {
            let name = function.doc().name;
            assert_eq!(*out.data_type(), bound.return_type.to_arrow(), "{name}");
            let constant = args.iter().all(|(_, arg)| arg.is_constant());
            assert!(out.len() == ROWS || (constant && out.len() == 1), "{name} has {} rows", out.len());
            assert!(
                errors.rows.iter().all(|(row, _)| *row < out.len() && out.is_null(*row)),
                "{name}: {:?}",
                errors.rows
            );
        }
        Err(error) => assert_eq!(error.kind(), types::ErrorKind::User, "{}: {error}", function.doc().name),
    }
    true
}

#[test]
fn nothing_panics() {
    let mut runner = TestRunner::default();
    for function in SCALARS.iter() {
        // Many lists of arguments fit no overload, so each round tries some until one does.
        let mut bound = 0;
        let strategy = proptest::collection::vec(argument(), 0..5);
        for _ in 0..1500 {
            let args = proptest::strategy::ValueTree::current(&strategy.new_tree(&mut runner).expect("arguments"));
            bound += usize::from(run(*function, &args));
            if bound >= 60 {
                break;
            }
        }
    }
}
