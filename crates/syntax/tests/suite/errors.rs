//! Errors say what was found and what was expected, where, and what to do.

use syntax::parse;

/// The first error of `text`: the text under the caret, the message, the hint.
fn check(text: &str, place: &str, message: &str, hint: &str) {
    let error = parse(text, None).expect_err(text);
    let span = error.span().unwrap_or_else(|| panic!("no place: {error} in {text}"));
    let got = (span.of(text), error.message(), error.hint().unwrap_or(""));
    assert_eq!(got, (place, message, hint), "{text}");
    assert_eq!(error.sqlstate(), "42601");
}

#[test]
fn misspelt_keywords() {
    check("SELECT * FORM s", "FORM", "found `FORM`, expected FROM", "did you mean FROM?");
    check("SELECT a FORM s", "FORM", "found `FORM`, expected FROM", "did you mean FROM?");
    check("CREAT STREAM s", "CREAT", "found `CREAT`, expected a statement", "did you mean CREATE?");
    check("CREATE STRAEM s", "STRAEM", "found `STRAEM`, expected STREAM", "did you mean STREAM?");
    check("SELECT * FROM s EMIT CHANGE", "CHANGE", "found `CHANGE`, expected CHANGES", "did you mean CHANGES?");
    check("SHOW STREMS", "STREMS", "found `STREMS`, expected STREAMS", "did you mean STREAMS?");
    check(
        "SELECT * FROM s WINDOW TUMBLING (SIZE 1 HUOR)",
        "HUOR",
        "found `HUOR`, expected a unit of time",
        "did you mean HOURS?",
    );
}

#[test]
fn frequent_mistakes() {
    check(
        "SHOW TOPICS SELECT 1",
        "SELECT",
        "found `SELECT`, expected EXTENDED or the end of the statement",
        "is the `;` missing that ends the statement before SELECT?",
    );
    check(
        "SELECT a FROM 's'",
        "'s'",
        "found `'s'`, expected `(` or a stream or table",
        "single quotes make a string; a name stands in back quotes: `s`",
    );
    check("SELECT a FROM s WHERE a == 1", "==", "`==` is not an operator", "equality is a single `=`");
    check(
        "CREATE STREAM s (a INT) (kafka_topic='t')",
        "(",
        "found `(`, expected WITH, AS or the end of the statement",
        "",
    );
    check(
        "CREATE STREAM s (a INT) WITH (value_format=JSON)",
        "JSON",
        "found `JSON`, expected a constant",
        "a text stands in single quotes: 'JSON'",
    );
    check(
        "CREATE STREAM select (a INT)",
        "select",
        "found `select`, expected IF NOT EXISTS or the stream's name",
        "SELECT is a reserved word; in back quotes it is a name: `SELECT`",
    );
    check(
        "SELECT a FROM s LIMIT 1 EMIT CHANGES",
        "EMIT",
        "found `EMIT` after LIMIT",
        "write EMIT CHANGES before LIMIT",
    );
    check(
        "INSERT INTO s (a) SELECT 1",
        "a",
        "INSERT INTO … SELECT takes no list of columns",
        "name the columns in the select list: SELECT a AS x, …",
    );
    check("SELECT 1 WHERE", "", "found the end of the statement, expected an expression", "");
}

#[test]
fn what_ksqldb_refuses() {
    check(
        "CREATE TABLE t (id INT KEY)",
        "id INT KEY",
        "column `ID` is a 'KEY' column, but the key of a table is declared 'PRIMARY KEY'",
        "",
    );
    check(
        "CREATE STREAM t (id INT PRIMARY KEY)",
        "id INT PRIMARY KEY",
        "column `ID` is a 'PRIMARY KEY' column, but the key of a stream is declared 'KEY'",
        "",
    );
    check(
        "SELECT 9223372036854775808",
        "9223372036854775808",
        "invalid numeric literal: 9223372036854775808 does not fit BIGINT",
        "with a decimal point it is a DECIMAL",
    );
    check(
        "SELECT -1.7976931348623160E308",
        "1.7976931348623160E308",
        "number overflows DOUBLE: -1.7976931348623160E308",
        "",
    );
    check(
        "CREATE STREAM o AS SELECT cast(f0 AS NULL) FROM t",
        "NULL",
        "found `NULL`, expected a type",
        "NULL is a reserved word; in back quotes it is a name: `NULL`",
    );
    check(
        "CREATE TABLE o AS SELECT a FROM t GROUP BY a AND b",
        "AND",
        "found `AND`, expected `,`, INCLUDE NULLS, PARTITION BY, HAVING, UNION ALL, EMIT, LIMIT or the end of the statement",
        "",
    );
    check("CREATE TABLE o AS SELECT a FROM t GROUP BY c, (b, a)", ",", "found `,`, expected `)`", "");
    check("CREATE STREAM s (k STRING (KEY))", "KEY", "found `KEY`, expected a length", "");
    check(
        "CREATE STREAM o AS SELECT * FROM EXPLODE(a)",
        "EXPLODE",
        "EXPLODE is called where a stream or table is expected",
        "table functions stand in the select list",
    );
    check(
        "CREATE STREAM o AS SELECT a FROM s PARTITION BY ()",
        "()",
        "PARTITION BY requires at least one expression",
        "",
    );
    check(
        "SELECT a = b = c FROM s EMIT CHANGES",
        "=",
        "`=` cannot follow a comparison",
        "put one of the two in parentheses",
    );
}

#[test]
fn errors_of_the_parser_that_got_further() {
    check("SELECT a FROM s ORDER BY a NULLS SECOND", "NULLS", "`NULLS` does not belong here", "");
    check(
        "SELECT a FROM s ORDER BY a EMIT CHANGES",
        "ORDER",
        "found `ORDER`, expected AS, JOIN, INNER, OUTER, LEFT, RIGHT, FULL, WINDOW or …",
        "ORDER is for queries that end: without EMIT, and not in CREATE … AS or INSERT",
    );
    check(
        "SELECT 'x FROM s",
        "'",
        "the string that starts here has no closing quote",
        "a quote within a string is written twice: 'it''s'",
    );
}

#[test]
fn half_phrases_and_misplaced_clauses() {
    check("SELECT a FROM s GROUP a", "a", "found `a`, expected BY after GROUP", "");
    check(
        "SELECT a FROM s WHERE b WINDOW TUMBLING (SIZE 1 DAY) EMIT CHANGES",
        "WINDOW",
        "found `WINDOW`, expected GROUP BY, PARTITION BY, HAVING, UNION ALL, EMIT, LIMIT or the end of the statement",
        "WINDOW stands at another place; the clauses' order is \
         FROM, WINDOW, WHERE, GROUP BY, PARTITION BY, HAVING, EMIT, LIMIT",
    );
    check("SELECT a, FROM s", "FROM", "found `FROM`, expected `*` or an expression", "");
    check(
        "SELECT a FROM FROM",
        "FROM",
        "found `FROM`, expected `(` or a stream or table",
        "FROM is a reserved word; in back quotes it is a name: `FROM`",
    );
    check("SELECT a FROM s JOIN t WHERE x", "WHERE", "found `WHERE`, expected AS, WITHIN or ON", "");
    check("SELECT * FROM s LIMIT -1", "-1", "LIMIT cannot be negative", "");
    check("SELECT * FROM s LIMIT heh", "heh", "found `heh`, expected a number of rows", "");
    check("DROP s", "s", "found `s`, expected TYPE, CONNECTOR, STREAM, TABLE or VIEW", "");
    check("SELECT f(a FROM s", "FROM", "found `FROM`, expected `,` or `)`", "");
    check("DEFINE x = 1", "1", "found `1`, expected a value in single quotes", "DEFINE x = 'value';");
    check(
        "foo",
        "foo",
        "found `foo`, expected a statement",
        "statements begin with CREATE, SELECT, INSERT, SHOW, DESCRIBE, DROP, …",
    );
    check("SHOW TOPICS; SELECT a FORM s", "FORM", "found `FORM`, expected FROM", "did you mean FROM?");
}
