//! Nothing that is typed panics: arbitrary text, arbitrary words, and statements with something broken in them.

use proptest::prelude::*;
use syntax::{parse, parse_expression, parse_schema, parse_type, split_statements};

use crate::cases;

/// Reads `text` by every entrance; errors must lie within the text.
fn read(text: &str) {
    let variables = |name: &str| (name.len() == 1).then(|| format!("{name}'`\"; -- x"));
    for result in [parse(text, None).map(drop), parse(text, Some(&variables)).map(drop)] {
        if let Err(error) = result {
            let span = error.span().unwrap_or_else(|| panic!("no place: {error}"));
            assert!(span.start <= span.end && span.end as usize <= text.len(), "{error} at {span:?} of {text:?}");
            assert!(text.is_char_boundary(span.start as usize) && text.is_char_boundary(span.end as usize));
            assert!(!error.render(text).is_empty());
        }
    }
    _ = parse_expression(text);
    _ = parse_schema(text);
    _ = parse_type(text);
    let (complete, rest) = split_statements(text);
    assert!(complete.iter().all(|range| text.get(range.clone()).is_some()));
    assert!(text.get(rest).is_some());
}

const WORDS: &[&str] = &[
    "SELECT", "FROM", "s", "WHERE", "a", "=", "1", "'x'", "(", ")", ",", "CREATE", "STREAM", "TABLE", "AS", "WITH",
    "EMIT", "CHANGES", "GROUP", "BY", "WINDOW", "TUMBLING", "SIZE", "SECONDS", "JOIN", "ON", "WITHIN", "->", "[", "]",
    "=>", ":=", "::", ".", "*", "-", "NOT", "AND", "IN", "BETWEEN", "LIKE", "CASE", "WHEN", "THEN", "END", "STRUCT",
    "MAP", "ARRAY", "<", ">", ">>", "INSERT", "INTO", "VALUES", "ASSERT", "NULL", "KEY", "PRINT", "SHOW", "SET",
    "UNION", "ALL", "LIMIT", "${a}", "$${b}", "$1", "`q`", "\"Q\"", ";", "--", "/*", "*/", "é", "1.5e3", "ORDER",
    "COPY", "EXPLAIN", "DESCRIBE", "ALTER", "ADD", "INT", "DECIMAL", "DEFINE", "TIMEOUT", "FILTER", "OVER", "DISTINCT",
    "IS", "FETCH", "DECLARE", "CURSOR", "FOR", "\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_text(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn arbitrary_tokens(words in prop::collection::vec(prop::sample::select(WORDS), 0..30), gap in "[ \n]?") {
        read(&words.join(&gap));
        read(&words.join(" "));
    }

    #[test]
    fn broken_statements(
        index in any::<prop::sample::Index>(), from in any::<prop::sample::Index>(), length in 0_usize..12,
        word in prop::sample::select(WORDS),
    ) {
        let statements = statements();
        let statement = index.get(statements);
        let mut chars: Vec<char> = statement.chars().collect();
        let start = from.index(chars.len() + 1);
        let end = (start + length).min(chars.len());
        chars.splice(start..end, word.chars());
        read(&chars.into_iter().collect::<String>());
    }
}

/// The conformance cases' statements where they are at hand, and some of our own.
fn statements() -> &'static [String] {
    static STATEMENTS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    STATEMENTS.get_or_init(|| {
        let own = [
            "CREATE STREAM s (id INT KEY, v ARRAY<STRUCT<a INT, b DECIMAL(4, 2)>>) \
             WITH (kafka_topic='t', format='json');",
            "CREATE TABLE t AS SELECT id, COUNT(*) FROM s \
             WINDOW HOPPING (SIZE 1 HOUR, ADVANCE BY 1 MINUTE) GROUP BY id EMIT FINAL;",
            "SELECT a->b[1], TRANSFORM(m, (k, v) => v + 1) \
             FROM a JOIN b WITHIN 1 DAY ON a.x = b.x EMIT CHANGES LIMIT 1;",
            "SELECT rank() OVER (ORDER BY a) FROM s WHERE a IN (SELECT 1) ORDER BY 1;",
        ];
        let shared = cases::load().unwrap_or_default();
        let shared = shared.into_iter().flat_map(|case| case.texts).filter(|text| text.len() < 2_000);
        own.into_iter().map(str::to_owned).chain(shared).collect()
    })
}
