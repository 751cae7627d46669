//! TOPK: the k largest values, or the rows that hold them.

use arrow::array::ArrayRef;
use types::Result;

use super::{
    constant,
    groups::{given_types, make, value_types},
    top::{Ranked, RetractableTopFold, SHAPES, TopFold},
};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    overload::{no_overload, resolve},
};

/// TOPK.
pub struct TopK;

static DOC: FunctionDoc = FunctionDoc {
    name: "TOPK",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["TOPK(value, k)", "TOPK(value, other..., k)"],
    description: "The k largest values that are not NULL, the largest first, as an ARRAY; of equal values the one \
                  that came first. With further columns, an ARRAY of STRUCTs: `sort_col`, then `col0`, `col1` and so \
                  on.",
    examples: &[("TOPK(value, 2) of 1, 3, 2, 3", "[3, 3]")],
};

impl AggregateFunction for TopK {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        let wrong = || no_overload("TOPK", SHAPES, args);
        let [value, others @ .., k] = args else { return Err(wrong()) };
        let resolved = resolve("TOPK", SHAPES, &[value.clone(), k.clone()])?;
        let [sort_type, k_type] = value_types(&resolved).try_into().map_err(|_| wrong())?;
        let k = constant::count("TOPK", "k", literals, args.len() - 1)?;
        let mut columns = vec![sort_type];
        columns.extend(given_types(others).ok_or_else(wrong)?);
        let (ranked, result) = Ranked::new(&columns, k);
        columns.push(k_type);
        Ok(BoundAggregate::of_streams(columns, result, make(TopFold { ranked: ranked.clone(), distinct: false }))
            .with_tables(make(RetractableTopFold(ranked))))
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{bind, check, check_merge};

    #[test]
    fn largest_first() {
        check(
            "TOPK",
            &["INTEGER", "=3"],
            &["0", "100", "null", "99", "7", "100"],
            &["[0]", "[100,0]", "[100,0]", "[100,99,0]", "[100,99,7]", "[100,100,99]"],
        );
        check(
            "TOPK",
            &["STRING", "=2"],
            &["a", "b", "c", "- c"],
            &[r#"["a"]"#, r#"["b","a"]"#, r#"["c","b"]"#, r#"["b","a"]"#],
        );
        check("TOPK", &["DOUBLE", "=1"], &["-0.5", "NaN", "- NaN"], &["[-0.5]", "[NaN]", "[-0.5]"]);
    }

    #[test]
    fn rows_of_the_largest() {
        check(
            "TOPK",
            &["INTEGER", "STRING", "=2"],
            &["0, zero", "100, one", "null, x", "100, null", "- 100, one"],
            &[
                r#"[{"sort_col":0,"col0":"zero"}]"#,
                r#"[{"sort_col":100,"col0":"one"},{"sort_col":0,"col0":"zero"}]"#,
                r#"[{"sort_col":100,"col0":"one"},{"sort_col":0,"col0":"zero"}]"#,
                r#"[{"sort_col":100,"col0":"one"},{"sort_col":100,"col0":null}]"#,
                r#"[{"sort_col":100,"col0":null},{"sort_col":0,"col0":"zero"}]"#,
            ],
        );
    }

    #[test]
    fn merges() {
        check_merge("TOPK", &["BIGINT", "=3"], &["1", "5"], &["4", "5", "6"], true, "[6,5,5]");
    }

    #[test]
    fn k_is_a_constant_in_bounds() {
        for args in [&["INTEGER", "=0"][..], &["INTEGER", "=-1"], &["INTEGER", "=null"], &["INTEGER", "INTEGER"]] {
            assert!(bind("TOPK", args).is_err(), "{args:?}");
        }
        assert!(bind("TOPK", &["MAP<STRING, INTEGER>", "=1"]).is_err());
        assert!(bind("TOPK", &["INTEGER"]).is_err());
    }
}
