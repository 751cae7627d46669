//! `ARRAY_SORT`.

use arrow::array::{ArrayRef, StringArray};
use types::{Result, SqlType};

use super::lists::{Lists, Picks};
use crate::{
    FunctionDoc, RowErrors,
    encoded::Rows,
    overload::{
        Param::{self, Array, String as Text},
        Resolved,
    },
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ARRAY_SORT",
        aliases: &[],
        category: "ARRAY",
        signatures: &["ARRAY_SORT(array[, 'ASC' | 'DESC'])"],
        description: "The elements in ascending order, or in descending order for 'DESC'; NULLs at the end in either \
                      case. Takes arrays of numbers, booleans, strings (by code point), bytes and times. NULL if the \
                      array is, or the direction is another word.",
        examples: &[("ARRAY_SORT(ARRAY[3, NULL, 1, 2])", "[1, 2, 3, null]")],
    },
    overloads: &[
        Overload::computed(&[Array(&Param::Int)], same_type, eval),
        Overload::computed(&[Array(&Param::BigInt)], same_type, eval),
        Overload::computed(&[Array(&Param::Decimal)], same_type, eval),
        Overload::computed(&[Array(&Param::Double)], same_type, eval),
        Overload::computed(&[Array(&Param::Boolean)], same_type, eval),
        Overload::computed(&[Array(&Text)], same_type, eval),
        Overload::computed(&[Array(&Param::Bytes)], same_type, eval),
        Overload::computed(&[Array(&Param::Date)], same_type, eval),
        Overload::computed(&[Array(&Param::Time)], same_type, eval),
        Overload::computed(&[Array(&Param::Timestamp)], same_type, eval),
        Overload::computed(&[Array(&Param::Int), Text], same_type, eval),
        Overload::computed(&[Array(&Param::BigInt), Text], same_type, eval),
        Overload::computed(&[Array(&Param::Decimal), Text], same_type, eval),
        Overload::computed(&[Array(&Param::Double), Text], same_type, eval),
        Overload::computed(&[Array(&Param::Boolean), Text], same_type, eval),
        Overload::computed(&[Array(&Text), Text], same_type, eval),
        Overload::computed(&[Array(&Param::Bytes), Text], same_type, eval),
        Overload::computed(&[Array(&Param::Date), Text], same_type, eval),
        Overload::computed(&[Array(&Param::Time), Text], same_type, eval),
        Overload::computed(&[Array(&Param::Timestamp), Text], same_type, eval),
    ],
    deterministic: true,
};

fn same_type(resolved: &Resolved) -> Result<SqlType> {
    Ok(resolved.value(0))
}

/// Whether it is descending; `None` if the word is no direction.
fn descending(word: &str) -> Option<bool> {
    match word.trim().to_ascii_uppercase().as_str() {
        "ASC" | "ASCENDING" => Some(false),
        "DESC" | "DESCENDING" => Some(true),
        _ => None,
    }
}

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    let directions = call.optional::<StringArray>(1)?;
    let elements = Rows::of(lists.values().as_ref())?;
    let mut picks = Picks::new(call.rows);
    let mut order: Vec<usize> = Vec::new();
    for row in 0..call.rows {
        let down = directions.map_or(Some(false), |d| d.get(row).and_then(descending));
        let (Some(range), Some(down)) = (lists.range(row), down) else {
            picks.end_row(false)?;
            continue;
        };
        order.clear();
        order.extend(range.clone().filter(|at| !elements.is_null(*at)));
        if down {
            order.sort_by(|a, b| elements.get(*b).cmp(elements.get(*a)));
        } else {
            order.sort_by(|a, b| elements.get(*a).cmp(elements.get(*b)));
        }
        order.iter().for_each(|at| picks.push(0, *at));
        range.filter(|at| elements.is_null(*at)).for_each(|at| picks.push(0, at));
        picks.end_row(true)?;
    }
    picks.into_lists(&call.return_type.to_arrow(), &[lists.values()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        check_call(&FUNCTION, &["ARRAY<INTEGER> [0,null,1,0,-1]"], "[-1,0,0,1,null]");
        check_call(&FUNCTION, &["ARRAY<DOUBLE> [0.5,null,-2.5]", "STRING desc"], "[0.5,-2.5,null]");
        check_call(&FUNCTION, &["ARRAY<STRING> [\"foo\",\"fo\",\"Food\"]", "STRING ASC"], "[\"Food\",\"fo\",\"foo\"]");
        check_call(&FUNCTION, &["ARRAY<DECIMAL(2, 1)> [1.0,-9.9]"], "[-9.9,1.0]");
        check_call(&FUNCTION, &["ARRAY<INTEGER> [1]", "STRING sideways"], "null");
        check_call(&FUNCTION, &["ARRAY<INTEGER> [1]", "STRING null"], "null");
        check_call(&FUNCTION, &["ARRAY<INTEGER> null"], "null");
        check_call(&FUNCTION, &["ARRAY<MAP<STRING, INTEGER>> []"], "error");
    }
}
