//! `ARRAY_JOIN`.

use arrow::array::{ArrayRef, StringArray};
use types::Result;

use super::lists::Lists;
use crate::{
    FunctionDoc, RowErrors,
    operator::value_to_string,
    overload::Param::{self, Array, String as Text},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ARRAY_JOIN",
        aliases: &[],
        category: "ARRAY",
        signatures: &["ARRAY_JOIN(array[, delimiter])"],
        description: "The elements as text with the delimiter (`,` if it is not given, nothing if it is NULL) \
                      between. Takes arrays of numbers, booleans, strings and times; elements that are NULL read \
                      `null`. NULL if the array is.",
        examples: &[("ARRAY_JOIN(ARRAY[1, 2, 3], '-')", "1-2-3")],
    },
    overloads: &[
        Overload::new(&[Array(&Param::Int)], Text, eval),
        Overload::new(&[Array(&Param::BigInt)], Text, eval),
        Overload::new(&[Array(&Param::Decimal)], Text, eval),
        Overload::new(&[Array(&Param::Double)], Text, eval),
        Overload::new(&[Array(&Param::Boolean)], Text, eval),
        Overload::new(&[Array(&Text)], Text, eval),
        Overload::new(&[Array(&Param::Date)], Text, eval),
        Overload::new(&[Array(&Param::Time)], Text, eval),
        Overload::new(&[Array(&Param::Timestamp)], Text, eval),
        Overload::new(&[Array(&Param::Int), Text], Text, eval),
        Overload::new(&[Array(&Param::BigInt), Text], Text, eval),
        Overload::new(&[Array(&Param::Decimal), Text], Text, eval),
        Overload::new(&[Array(&Param::Double), Text], Text, eval),
        Overload::new(&[Array(&Param::Boolean), Text], Text, eval),
        Overload::new(&[Array(&Text), Text], Text, eval),
        Overload::new(&[Array(&Param::Date), Text], Text, eval),
        Overload::new(&[Array(&Param::Time), Text], Text, eval),
        Overload::new(&[Array(&Param::Timestamp), Text], Text, eval),
    ],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    let delimiters = call.optional::<StringArray>(1)?;
    call.rows::<StringArray, String>(|row| {
        let delimiter = delimiters.map_or(",", |d| d.get(row).unwrap_or(""));
        let mut joined = String::new();
        for (nth, at) in lists.range(row)?.enumerate() {
            if nth > 0 {
                joined.push_str(delimiter);
            }
            joined.push_str(value_to_string(lists.values(), at).as_deref().unwrap_or("null"));
        }
        Some(joined)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        check_call(&FUNCTION, &["ARRAY<BOOLEAN> [true,null,false]"], "true,null,false");
        check_call(&FUNCTION, &["ARRAY<DOUBLE> [1.23,-23.42,0.0]", "STRING ; "], "1.23;-23.42;0.0");
        check_call(&FUNCTION, &["ARRAY<DECIMAL(5, 2)> [123.45,987.65]"], "123.45,987.65");
        check_call(&FUNCTION, &["ARRAY<STRING> [\"a\",\"\",\"b\"]", "STRING null"], "ab");
        check_call(&FUNCTION, &["ARRAY<INTEGER> []"], "");
        check_call(&FUNCTION, &["ARRAY<INTEGER> null"], "null");
        check_call(&FUNCTION, &["ARRAY<ARRAY<INTEGER>> [[1]]"], "error");
    }
}
