//! Why cases do not pass: each that fails stands here, with the reason as docs/compatibility.md gives it.

/// What some cases have in common.
pub struct Difference {
    /// Why they do not pass.
    pub reason: &'static str,
    /// File and name of each.
    pub cases: &'static [(&'static str, &'static str)],
}

/// All reasons.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        reason: "A table over a topic can be queried as any other table: it is kept, too. ksqlDB wants a second table made \
                 from it first.",
        cases: &[
            ("requests/pull-queries-against-ctas-materialized.json", "pull query on `CREATE TABLE` table should fail "),
            (
                "requests/pull-queries-against-materialized-aggregates.json",
                "fail on unsupported query feature: not materialized aggregate",
            ),
        ],
    },
    Difference {
        reason: "Queries that end take all of SQL, joins and ORDER BY among it, where ksqlDB refuses them.",
        cases: &[
            ("requests/pull-queries-against-materialized-aggregates.json", "fail on unsupported query feature: join"),
            ("requests/pull-queries-against-streams.json", "error on ORDER BY"),
        ],
    },
    Difference {
        reason: "MIN, MAX and LATEST_BY_OFFSET work on tables, a foreign key behind another join, and streams are joined by \
                 several columns, which ksqlDB refuses.",
        cases: &[
            ("queries/fk-n-way-join.json", "Should fail as second step in n-way join"),
            ("queries/group-by.json", "non-table udaf on table"),
            ("queries/multi-col-keys.json", "join on multi-column key"),
        ],
    },
    Difference {
        reason: "A SUM that outgrows its DECIMAL ends a query of ksqlDB for good. Here the query goes on: the sum is NULL, \
                 the row is counted, and an entry of the processing log says why.",
        cases: &[("queries/sum.json", "sum decimal with overflow")],
    },
    Difference {
        reason: "A push query shows rows without a key like all others. ksqlDB's scalable push queries leave them out, \
                 which the case itself calls inconsistent with its other push queries.",
        cases: &[("requests/scalable-push-queries.json", "non-windowed stream with nulls")],
    },
    Difference {
        reason: "The statement is refused, as the case wants, but for another reason: the arguments' common type would be a \
                 DECIMAL of 50 digits, and there are at most 38.",
        cases: &[("queries/least.json", "test implicit casting to decimal")],
    },
    Difference {
        reason: "The lambda's result depends on the order of the map's entries. ksqlDB takes them as Java's hash table has \
                 them, Millstream as they stand in the record.",
        cases: &[("queries/reduce-map.json", "reduce map with double")],
    },
    Difference {
        reason: "LIMIT without ORDER BY: any two rows are right. Millstream gives those of the smallest keys, the case wants \
                 the ones that ksqlDB's store happens to have first.",
        cases: &[("requests/pull-queries-with-limit-clause.json", "table table outer join - PROTOBUF")],
    },
    Difference {
        reason: "CREATE asks for one partition, and the joined table has as many as its left side. The case wants the four \
                 that the test bench of ksqlDB gives to every topic.",
        cases: &[("queries/fk-join.json", "Should allow partition count mismatch")],
    },
    Difference {
        reason: "The case contradicts itself: it wants a field that no column of its query is (BASE64 for ASCII).",
        cases: &[("queries/encode.json", "encode base64"), ("queries/encode.json", "encode null")],
    },
    Difference {
        reason: "The case contradicts itself: it names the header's column before a column that was declared earlier, and \
                 gives the rows' cells in the declared order.",
        cases: &[("requests/pull-queries-with-headers.json", "select * against CST table with headers")],
    },
];

/// Why a case does not pass.
pub fn reason(file: &str, case: &str) -> Option<&'static str> {
    DIFFERENCES.iter().find(|d| d.cases.contains(&(file, case))).map(|d| d.reason)
}
