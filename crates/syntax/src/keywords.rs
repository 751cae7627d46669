//! The few words that the grammar cannot share with names.
//!
//! All other keywords are recognized where they can stand and are names everywhere else, so that a column may be
//! called KEY, DATE, EMIT or SECONDS. This is a little more than ksqlDB allows.

/// Never a bare name. Sorted.
pub(crate) const RESERVED: &[&str] = &[
    "AND", "AS", "BETWEEN", "BY", "CASE", "CAST", "CREATE", "DISTINCT", "ELSE", "END", "FALSE", "FROM", "FULL",
    "GROUP", "HAVING", "IN", "INNER", "INSERT", "INTO", "IS", "JOIN", "LEFT", "LIKE", "LIMIT", "NOT", "NULL", "ON",
    "OR", "OUTER", "RIGHT", "SELECT", "THEN", "TRUE", "UNION", "VALUES", "WHEN", "WHERE", "WINDOW", "WITH", "WITHIN",
];

/// Names, but not aliases without AS, because the word may begin the next clause. Sorted.
pub(crate) const NEVER_AN_ALIAS: &[&str] = &[
    "CROSS",
    "EMIT",
    "EXCEPT",
    "FETCH",
    "FILTER",
    "FOR",
    "INTERSECT",
    "LATERAL",
    "NATURAL",
    "OFFSET",
    "ORDER",
    "OVER",
    "PARTITION",
    "QUALIFY",
    "RETURNING",
    "TABLESAMPLE",
    "USING",
];

/// Words of SQL that only queries that end have. Sorted.
pub(crate) const ENDING_ONLY: &[&str] = &[
    "CROSS",
    "EXCEPT",
    "INTERSECT",
    "LATERAL",
    "NATURAL",
    "OFFSET",
    "ORDER",
    "OVER",
    "QUALIFY",
    "TABLESAMPLE",
    "UNION",
    "USING",
];

/// First words of statements. Sorted.
pub(crate) const STATEMENTS: &[&str] = &[
    "ABORT",
    "ALTER",
    "ASSERT",
    "BEGIN",
    "CLOSE",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DECLARE",
    "DEFINE",
    "DELETE",
    "DESCRIBE",
    "DISCARD",
    "DROP",
    "END",
    "EXPLAIN",
    "FETCH",
    "INSERT",
    "LIST",
    "PAUSE",
    "PRINT",
    "RESET",
    "RESUME",
    "ROLLBACK",
    "RUN",
    "SELECT",
    "SET",
    "SHOW",
    "START",
    "TERMINATE",
    "UNDEFINE",
    "UNSET",
    "VALUES",
    "WITH",
];

/// The clauses of a query in their order.
pub(crate) const CLAUSES: &[&str] = &["FROM", "WINDOW", "WHERE", "GROUP BY", "PARTITION BY", "HAVING", "EMIT", "LIMIT"];

/// Functions whose first argument is a bare unit of time. Sorted.
pub(crate) const TAKE_A_TIME_UNIT: &[&str] =
    &["DATEADD", "DATESUB", "TIMEADD", "TIMESTAMPADD", "TIMESTAMPSUB", "TIMESUB"];

/// Other words that mean something at some place; printed as names they are quoted. Sorted.
const CONTEXTUAL: &[&str] = &[
    "ADD",
    "ADVANCE",
    "ALL",
    "ANALYZE",
    "ARRAY",
    "ASENSITIVE",
    "BEGINNING",
    "BINARY",
    "CHANGES",
    "CHARACTERISTICS",
    "COLUMN",
    "CONNECTOR",
    "CONNECTORS",
    "CSV",
    "CURSOR",
    "DATE",
    "DAY",
    "DAYS",
    "DECIMAL",
    "DELIMITER",
    "ESCAPE",
    "EXISTS",
    "EXTENDED",
    "FINAL",
    "FORMAT",
    "FORWARD",
    "FUNCTION",
    "FUNCTIONS",
    "GRACE",
    "HEADER",
    "HEADERS",
    "HOLD",
    "HOPPING",
    "HOUR",
    "HOURS",
    "ID",
    "IDLE",
    "IF",
    "INCLUDE",
    "INSENSITIVE",
    "INTERVAL",
    "KEY",
    "LOCAL",
    "MAP",
    "MILLISECOND",
    "MILLISECONDS",
    "MINUTE",
    "MINUTES",
    "MONTH",
    "MONTHS",
    "NAMES",
    "NEXT",
    "NO",
    "NULLS",
    "NUMERIC",
    "PERIOD",
    "PLUGINS",
    "PREPARE",
    "PRIMARY",
    "PROPERTIES",
    "QUERIES",
    "QUOTE",
    "REPLACE",
    "RETENTION",
    "SAMPLE",
    "SCHEMA",
    "SCRIPT",
    "SCROLL",
    "SECOND",
    "SECONDS",
    "SESSION",
    "SINK",
    "SIZE",
    "SOURCE",
    "STDIN",
    "STDOUT",
    "STREAM",
    "STREAMS",
    "STRUCT",
    "SUBJECT",
    "SYSTEM",
    "TABLE",
    "TABLES",
    "TIME",
    "TIMEOUT",
    "TIMESTAMP",
    "TO",
    "TOPIC",
    "TOPICS",
    "TRANSACTION",
    "TUMBLING",
    "TYPE",
    "TYPES",
    "VARIABLES",
    "VIEW",
    "VIEWS",
    "WEEK",
    "WEEKS",
    "WORK",
    "YEAR",
    "YEARS",
    "ZONE",
];

/// Whether the upper-case `word` is a keyword anywhere.
pub(crate) fn is_keyword(word: &str) -> bool {
    is_never_an_alias(word) || [STATEMENTS, CONTEXTUAL].iter().any(|list| list.binary_search(&word).is_ok())
}

/// Whether the upper-case `word` can only be a keyword.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// Whether the upper-case `word` cannot be an alias without AS.
pub(crate) fn is_never_an_alias(word: &str) -> bool {
    is_reserved(word) || NEVER_AN_ALIAS.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        for list in [RESERVED, NEVER_AN_ALIAS, ENDING_ONLY, STATEMENTS, TAKE_A_TIME_UNIT, CONTEXTUAL] {
            assert!(list.is_sorted(), "{list:?}");
        }
    }
}
