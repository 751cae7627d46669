//! Any text is a statement or an error with a place in the text; what was read is written as text that means the same.

use std::path::Path;

use fuzz::{Damage, Room, kind_of};
use syntax::{parse, parse_expression, parse_schema, parse_type, split_statements};

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "CREATE",
    "OR REPLACE",
    "STREAM",
    "TABLE",
    "AS",
    "WITH",
    "EMIT CHANGES",
    "EMIT FINAL",
    "GROUP BY",
    "PARTITION BY",
    "HAVING",
    "WINDOW",
    "TUMBLING",
    "HOPPING",
    "SESSION",
    "SIZE 1 SECOND",
    "ADVANCE BY",
    "GRACE PERIOD 1 DAY",
    "RETENTION",
    "LEFT JOIN",
    "FULL OUTER JOIN",
    "ON",
    "WITHIN",
    "->",
    "[1]",
    "=>",
    ":=",
    "::",
    ".*",
    "NOT",
    "AND",
    "OR",
    "IN (1, 2)",
    "BETWEEN 1 AND 2",
    "LIKE '%'",
    "ESCAPE",
    "CASE WHEN a THEN b ELSE c END",
    "STRUCT<a INT>",
    "MAP<STRING, INT>",
    "ARRAY<INT>",
    "MAP('a' := 1)",
    "STRUCT(a := 1)",
    "DECIMAL(4, 2)",
    "INSERT INTO",
    "VALUES",
    "ASSERT",
    "NULL",
    "PRIMARY KEY",
    "HEADERS",
    "PRINT",
    "SHOW",
    "DESCRIBE",
    "EXPLAIN ANALYZE",
    "SET",
    "UNION ALL",
    "LIMIT 3",
    "${a}",
    "$${b}",
    "$1",
    "`q`",
    "\"Q\"",
    ";",
    "--",
    "/*",
    "*/",
    "é",
    "1.5e3",
    "ORDER BY 1",
    "COPY",
    "ALTER",
    "ADD COLUMN",
    "DROP",
    "DELETE TOPIC",
    "DEFINE",
    "UNDEFINE",
    "TIMEOUT 1 SECONDS",
    "FILTER (WHERE",
    "OVER (",
    "DISTINCT",
    "IS NOT NULL",
    "IS DISTINCT FROM",
    "FETCH 1",
    "DECLARE",
    "CURSOR FOR",
    "INTERVAL",
    "AT",
    "\n",
    "CONNECTOR",
    "TYPE",
    "PAUSE ALL",
    "TERMINATE",
    "RUN SCRIPT",
    "SPOOL",
    "CAST(a AS",
    "x'00'",
    "E'\\n'",
    "$$",
    "U&'\\0041'",
];

const NESTS: &[(&str, &str)] = &[
    ("(", ")"),
    ("f(", ")"),
    ("ARRAY[", "]"),
    ("ARRAY<", ">"),
    ("STRUCT<a ", ">"),
    ("MAP<STRING, ", ">"),
    ("CASE WHEN ", " THEN 1 END"),
    ("CAST(", " AS INT)"),
    ("(SELECT * FROM ", ") a"),
    ("NOT ", ""),
    ("- ", ""),
    ("EXPLAIN ", ""),
    ("x => ", ""),
    ("a.", ""),
    ("a AND ", ""),
    ("a + ", ""),
    ("", "[1]"),
    ("", "->a"),
    ("", "::INT"),
    ("WITH a AS (", ") SELECT 1"),
    ("", " UNION ALL SELECT 1"),
    ("a JOIN ", ""),
    ("/*", "*/"),
];

/// Reads `text` by every entrance; the kind of its first error.
fn read(text: &str) -> String {
    let variables = |name: &str| (name.len() == 1).then(|| format!("{name}'`\"; -- x"));
    let check = |error: &types::Error, text: &str| {
        let span = error.span().unwrap_or_else(|| panic!("no place: {error}"));
        assert!(span.start <= span.end && span.end as usize <= text.len(), "{error} at {span:?}");
        assert!(text.is_char_boundary(span.start as usize) && text.is_char_boundary(span.end as usize));
        assert!(!error.render(text).is_empty());
    };
    if let Err(error) = parse(text, Some(&variables)) {
        check(&error, text);
    }
    _ = parse_expression(text);
    _ = parse_schema(text);
    _ = parse_type(text);
    let (complete, rest) = split_statements(text);
    assert!(complete.iter().all(|range| text.get(range.clone()).is_some()));
    assert!(text.get(rest).is_some());
    match parse(text, None) {
        Err(error) => {
            check(&error, text);
            kind_of(error.message())
        }
        Ok(statements) => {
            for statement in &statements {
                // What is left to sqlparser is printed by it, and not always as its parser reads it.
                let general = || format!("{:?}", statement.kind).contains("General(");
                let printed = statement.to_string();
                let again = parse(&printed, None).map(|s| s.iter().map(ToString::to_string).collect::<Vec<_>>());
                match again {
                    Ok(again) => assert!(again == [printed.as_str()] || general(), "{printed} is {again:?}"),
                    // `a::INT` is printed with brackets, of which there may be fewer in each other.
                    Err(error) if error.message().contains("levels deep") => {}
                    Err(error) => assert!(general(), "printed, it is refused: {}", error.render(&printed)),
                }
            }
            // The shape of the first statement: its words.
            statements.first().map(|s| format!("ok {}", kind_of(&s.to_string()))).unwrap_or_default()
        }
    }
}

#[test]
fn statements() {
    let seeds = fuzz::statements().into_iter().map(String::into_bytes);
    let examples = fuzz::examples().into_iter().map(|e| format!("SELECT {e};").into_bytes());
    let room = Room {
        name: "statements",
        corpus: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/statements"),
        seeds: seeds.chain(examples).collect(),
        damage: Damage { words: WORDS, nests: NESTS, bytes_max: 40_000 },
        inputs: 4_000,
    };
    room.run(|input| read(&String::from_utf8_lossy(input)));
}
