//! Queries that end and are in no streaming grammar are left to sqlparser; all others are not.

use syntax::{ast::QueryBody, ast::StatementKind, parse};

fn check(text: &str, general: bool) {
    match parse(text, None).as_deref() {
        Ok([statement]) => match &statement.kind {
            StatementKind::Query(query) => {
                assert_eq!(matches!(query.body, QueryBody::General(_)), general, "{text}");
                assert_eq!(query.text, text);
            }
            other => panic!("{other:?}"),
        },
        Ok(_) => panic!("not one statement: {text}"),
        Err(error) => panic!("{}", error.render(text)),
    }
}

#[test]
fn general_queries() {
    check("SELECT a FROM s ORDER BY a DESC LIMIT 3 OFFSET 2", true);
    check("SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM s", true);
    check("SELECT a FROM s UNION SELECT b FROM t", true);
    check("SELECT a FROM s WHERE a IN (SELECT b FROM t)", true);
    check("SELECT * FROM a, b WHERE a.x = b.x", true);
    check("SELECT * FROM a CROSS JOIN b", true);
    check("SELECT * FROM a JOIN b USING (x)", true);
    check("VALUES (1, 2), (3, 4)", true);
    check("(SELECT 1) UNION ALL (SELECT 2)", true);
    check("WITH a AS (SELECT 1 AS x) SELECT * FROM a ORDER BY `x`", true);
    check("SELECT a FROM s WHERE a<-1 ORDER BY \"b\"", true);
    check("SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' ORDER BY 1", true);
    check("SELECT pg_catalog.version()", true);
    check("SELECT extract(year FROM t), $1::int FROM s LIMIT $2", true);
    check(
        "SELECT c.relname::pg_catalog.regclass FROM pg_class c \
         WHERE c.relname OPERATOR(pg_catalog.~) '^(s)$' COLLATE pg_catalog.default",
        true,
    );
}

#[test]
fn streaming_queries() {
    check("SELECT a, b FROM s WHERE a = 1 AND b IS NOT NULL", false);
    check("SELECT a, count(*) FROM s GROUP BY a HAVING count(*) > 1 LIMIT 2", false);
    check("SELECT * FROM a JOIN b ON a.x = b.x", false);
    check("SELECT 1", false);
    check("WITH a AS (SELECT 1 AS x) SELECT * FROM a", false);
}
