//! What is read is what was meant: every form of every statement, as its canonical text.

use syntax::parse;

/// `text` parses to one statement that prints as `want`, and `want` to one that prints as itself.
fn check(text: &str, want: &str) {
    for input in [text, want] {
        match parse(input, None).as_deref() {
            Ok([statement]) => assert_eq!(statement.to_string(), want, "{input}"),
            Ok(statements) => panic!("{} statements in {input}", statements.len()),
            Err(error) => panic!("{}", error.render(input)),
        }
    }
}

/// `text` is canonical.
fn same(text: &str) {
    check(text, text);
}

/// An expression is printed as `want`.
fn expression(text: &str, want: &str) {
    check(&format!("select {text} from s"), &format!("SELECT {want} FROM S"));
}

#[test]
fn create_source() {
    check(
        "create stream s (id int key, `v` array<struct<a varchar(10), `b` decimal(4,2)>>, h bytes header('x')) \
         with (kafka_topic='t', \"value_format\"='json', partitions=1, wrap_single_value=false);",
        "CREATE STREAM S (`ID` INT KEY, `v` ARRAY<STRUCT<A VARCHAR, `b` DECIMAL(4, 2)>>, H BYTES HEADER('x')) \
         WITH (KAFKA_TOPIC = 't', VALUE_FORMAT = 'json', PARTITIONS = 1, WRAP_SINGLE_VALUE = FALSE)",
    );
    same("CREATE OR REPLACE TABLE T (K STRING PRIMARY KEY) WITH (KAFKA_TOPIC = 't')");
    same("CREATE SOURCE TABLE IF NOT EXISTS T (K STRING PRIMARY KEY, V MAP<STRING, INT>) WITH (KAFKA_TOPIC = 't')");
    same("CREATE STREAM S (A STRUCT<>, B DECIMAL, H ARRAY<STRUCT<`KEY` STRING, VALUE BYTES>> HEADERS)");
    check("CREATE STREAM S WITH ('a.b'=-1.5, c=null)", "CREATE STREAM S WITH ('A.B' = -1.5, C = NULL)");
    check(
        "CREATE STREAM S (a double precision, b int[], c numeric(3))",
        "CREATE STREAM S (A DOUBLE, B ARRAY<INT>, C DECIMAL(3, 0))",
    );
    check(
        "CREATE STREAM S (KEY INT KEY, primary int, headers bytes)",
        "CREATE STREAM S (`KEY` INT KEY, `PRIMARY` INT, `HEADERS` BYTES)",
    );
}

#[test]
fn create_as_select_and_insert() {
    check(
        "create table t with (partitions=2) as select id, count(*) c from s \
         window tumbling (size 1 hour) group by id emit changes;",
        "CREATE TABLE T WITH (PARTITIONS = 2) AS SELECT `ID`, COUNT(*) AS C FROM S \
         WINDOW TUMBLING (SIZE 1 HOURS) GROUP BY `ID` EMIT CHANGES",
    );
    same("CREATE OR REPLACE STREAM IF NOT EXISTS S AS SELECT * FROM T");
    same("CREATE OR REPLACE VIEW V AS SELECT A FROM S WHERE B EMIT CHANGES");
    check("create view v as select a from s order by a", "CREATE VIEW V AS SELECT a FROM s ORDER BY a");
    same("INSERT INTO S SELECT * FROM T EMIT CHANGES");
    same("INSERT INTO S WITH (QUERY_ID = 'x') SELECT * FROM T");
    same("INSERT INTO S (A, B) VALUES (1, 'x'), (-2, ARRAY[1])");
    same("INSERT INTO S VALUES (NULL)");
    same("DELETE FROM T WHERE A = 1");
    same("DELETE FROM T");
}

#[test]
fn other_definitions() {
    same("DROP STREAM IF EXISTS S DELETE TOPIC");
    same("DROP VIEW V");
    check("alter stream s add a int, add column b string", "ALTER STREAM S ADD COLUMN A INT, ADD COLUMN B STRING");
    check("alter table t add column int, add c int", "ALTER TABLE T ADD COLUMN `COLUMN` INT, ADD COLUMN C INT");
    same("CREATE TYPE IF NOT EXISTS ADDRESS AS STRUCT<CITY STRING, ZIP INT>");
    same("DROP TYPE IF EXISTS ADDRESS");
    same("CREATE SOURCE CONNECTOR IF NOT EXISTS C WITH ('connector.class' = 'x', NAME = 1)");
    same("CREATE SINK CONNECTOR `c-1` WITH ('k' = 'v')");
    same("DROP CONNECTOR IF EXISTS C");
}

#[test]
fn show_and_describe() {
    for what in
        ["STREAMS EXTENDED", "TABLES", "VIEWS", "TOPICS EXTENDED", "ALL TOPICS", "QUERIES EXTENDED", "FUNCTIONS"]
    {
        same(&format!("SHOW {what}"));
    }
    for what in ["TYPES", "PROPERTIES", "VARIABLES", "CONNECTORS", "CONNECTOR PLUGINS"] {
        check(&format!("list {what}"), &format!("SHOW {what}"));
    }
    check("show source connectors", "SHOW CONNECTORS");
    same("DESCRIBE S EXTENDED");
    check("describe extended s", "DESCRIBE S EXTENDED");
    check("describe function", "DESCRIBE `FUNCTION`");
    same("DESCRIBE FUNCTION COUNT");
    same("DESCRIBE CONNECTOR C");
    same("DESCRIBE STREAMS EXTENDED");
    same("DESCRIBE TABLES");
    same("EXPLAIN ANALYZE SELECT A FROM S EMIT CHANGES");
    check("explain ctas_x_1", "EXPLAIN CTAS_X_1");
    same("TERMINATE ALL");
    check("pause q1", "PAUSE Q1");
    same("RESUME ALL");
}

#[test]
fn session_and_topics() {
    check("print my-topic.v1 from beginning sample 2 limit 3", "PRINT `my-topic.v1` FROM BEGINNING INTERVAL 2 LIMIT 3");
    check("print 'a b'", "PRINT `a b`");
    check("print Users", "PRINT `Users`");
    same("SET 'auto.offset.reset' = 'earliest'");
    check("set client_encoding to UTF8", "SET 'client_encoding' = 'UTF8'");
    check("set session Search_Path = a, \"B\"", "SET 'search_path' = 'a, B'");
    check("set time zone 'UTC'", "SET 'timezone' = 'UTC'");
    check("set extra_float_digits = -3", "SET 'extra_float_digits' = '-3'");
    check("set session characteristics as transaction read only", "DISCARD ALL");
    same("UNSET 'auto.offset.reset'");
    same("ALTER SYSTEM 'a' = 'b'");
    same("DEFINE X = 'it''s'");
    same("UNDEFINE X");
    same("RUN SCRIPT 'a/b.sql'");
}

#[test]
fn assertions() {
    check(
        "assert topic foo-1 with (partitions=1) timeout 10 seconds",
        "ASSERT TOPIC `foo-1` WITH (PARTITIONS = 1) TIMEOUT 10 SECONDS",
    );
    check("assert not exists topic foo", "ASSERT NOT EXISTS TOPIC `foo`");
    check("assert schema subject abc id 6 timeout 1 minute", "ASSERT SCHEMA SUBJECT 'abc' ID 6 TIMEOUT 1 MINUTES");
    same("ASSERT NOT EXISTS SCHEMA ID 3");
    same("ASSERT VALUES S (ROWTIME, A) VALUES (1, NULL)");
    same("ASSERT NULL VALUES T (K) KEY (1)");
    same("INSERT INTO T (K, ROWTIME) NULL VALUES (1, 2), (3, 4)");
    same("INSERT INTO T NULL VALUES (1)");
    same("SELECT A FROM T GROUP BY A, B INCLUDE NULLS HAVING COUNT(*) > 1 EMIT FINAL IDLE TIMEOUT 30 SECONDS");
    check("select include from t group by include", "SELECT `INCLUDE` FROM T GROUP BY `INCLUDE`");
    same("ASSERT STREAM S (A INT KEY) WITH (KAFKA_TOPIC = 't')");
}

#[test]
fn postgres() {
    check("begin transaction isolation level read committed, read only", "BEGIN");
    check("start transaction", "BEGIN");
    check("end", "COMMIT");
    check("abort work", "ROLLBACK");
    check("declare c no scroll cursor with hold for select 1", "DECLARE C CURSOR FOR SELECT 1");
    check("fetch forward 5 in c", "FETCH 5 FROM C");
    check("fetch next from c", "FETCH 1 FROM C");
    check("fetch all c", "FETCH ALL FROM C");
    same("CLOSE ALL");
    check(
        "copy s (a, b) from stdin with (format csv, header true, delimiter ';', null '')",
        "COPY S (A, B) FROM STDIN WITH (FORMAT CSV, HEADER, DELIMITER ';', NULL '')",
    );
    check("copy s to stdout csv header", "COPY (SELECT * FROM S) TO STDOUT WITH (FORMAT CSV, HEADER)");
    check("copy (select a from s order by 1) to stdout", "COPY (SELECT a FROM s ORDER BY 1) TO STDOUT");
    check("deallocate prepare x", "DISCARD ALL");
    check("reset all", "DISCARD ALL");
    check("show server_version", "SHOW `server_version`");
    check("show transaction isolation level", "SHOW `transaction_isolation`");
    same("SHOW ALL");
}

#[test]
fn queries() {
    same("SELECT * FROM S EMIT CHANGES LIMIT 3");
    check("select a.*, b->c->*, 1 x from s a;", "SELECT A.*, B->C->*, 1 AS X FROM S AS A");
    same("SELECT 1");
    check(
        "select * from a left outer join b within (1 hour, 90 seconds) grace period 1 day \
         on a.x = b.x join c on a.y = c.y",
        "SELECT * FROM A LEFT JOIN B WITHIN (1 HOURS, 90 SECONDS) GRACE PERIOD 1 DAYS \
         ON A.X = B.X INNER JOIN C ON A.Y = C.Y",
    );
    check("select * from a outer join b on x full join c on y", "SELECT * FROM A FULL JOIN B ON X FULL JOIN C ON Y");
    check("select * from a right join b within 10 seconds on x", "SELECT * FROM A RIGHT JOIN B WITHIN 10 SECONDS ON X");
    check(
        "select k, count(*) from s window w hopping (size 1 minute, advance by 10 seconds, retention 1 day, \
         grace period 0 seconds) \
         where a group by (k, j) having count(*) > 1 emit final",
        "SELECT K, COUNT(*) FROM S WINDOW HOPPING (SIZE 1 MINUTES, ADVANCE BY 10 SECONDS, RETENTION 1 DAYS, \
         GRACE PERIOD 0 MILLISECONDS) WHERE A GROUP BY K, J HAVING COUNT(*) > 1 EMIT FINAL",
    );
    check(
        "select a from s window session (30 seconds) group by a",
        "SELECT A FROM S WINDOW SESSION (30 SECONDS) GROUP BY A",
    );
    check("select a from s partition by (a + 1) * 2, b", "SELECT A FROM S PARTITION BY (A + 1) * 2, B");
    check("select a from s group by (a = b), c", "SELECT A FROM S GROUP BY (A = B), C");
    same("SELECT DISTINCT A FROM S UNION ALL SELECT B FROM T EMIT CHANGES");
    same("WITH A AS (SELECT * FROM S), B AS (SELECT * FROM A) SELECT * FROM B EMIT CHANGES");
    check("select * from (select a from s) x where x.a > 1", "SELECT * FROM (SELECT A FROM S) AS X WHERE X.A > 1");
    check("select * from s with (start = 'latest') x", "SELECT * FROM S AS X WITH ('START' = 'latest')");
    check("select * from s as x with (a = 1) emit changes", "SELECT * FROM S AS X WITH (A = 1) EMIT CHANGES");
    check("select emit, date, key from seconds", "SELECT `EMIT`, `DATE`, `KEY` FROM `SECONDS`");
    check("select trunc(v) as 1r from s", "SELECT TRUNC(V) AS `1R` FROM S");
}

#[test]
fn precedence() {
    expression("1 + 2 * 3 - -4", "1 + 2 * 3 - -4");
    expression("(1 + 2) * 3", "(1 + 2) * 3");
    expression("a - (b - c) - d", "A - (B - C) - D");
    expression("not a = b and c or d", "NOT A = B AND C OR D");
    expression("(not a) = b", "(NOT A) = B");
    expression("not (a and b)", "NOT (A AND B)");
    expression("a and (b or c)", "A AND (B OR C)");
    expression("a || b + c = d", "A || B + C = D");
    expression("a between 1 and 2 and b", "A BETWEEN 1 AND 2 AND B");
    expression("(a = b) = c", "(A = B) = C");
    expression("-a->b[1]", "-A->B[1]");
    expression("(-a)[1]", "(-A)[1]");
    expression("- -a", "-(-A)");
    expression("-(1)", "-(1)");
    expression("+1", "+1");
    expression("- 1", "-1");
    expression("a::int[1]", "CAST(A AS INT)[1]");
    expression("a->b::bigint + 1", "CAST(A->B AS BIGINT) + 1");
    expression("filter(a, x => x > 1 and x < 2)", "FILTER(A, X => X > 1 AND X < 2)");
    expression("reduce(m, 0, (s, k, v) => s + v)", "REDUCE(M, 0, (S, K, V) => S + V)");
}

#[test]
fn operands() {
    expression(
        "1, 1.5, .5, 1., 1e3, -2.5E-1, 'it''s', true, null, $2",
        "1, 1.5, .5, 1., 1e3, -2.5E-1, 'it''s', TRUE, NULL, $2",
    );
    expression(
        "a is not null, a is null, a is distinct from b, a is not distinct from b",
        "A IS NOT NULL, A IS NULL, A IS DISTINCT FROM B, A IS NOT DISTINCT FROM B",
    );
    expression(
        "a not between 1 and 2, a not in (1, 2), a not like 'x' escape '!'",
        "A NOT BETWEEN 1 AND 2, A NOT IN (1, 2), A NOT LIKE 'x' ESCAPE '!'",
    );
    expression("a != b, a <> b", "A <> B, A <> B");
    expression("case when a then 1 when b then 2 else 3 end", "CASE WHEN A THEN 1 WHEN B THEN 2 ELSE 3 END");
    expression("case a when 1 then 'x' end", "CASE A WHEN 1 THEN 'x' END");
    expression("cast(a as map<string, array<int>>)", "CAST(A AS MAP<STRING, ARRAY<INT>>)");
    expression(
        "count(distinct a) filter (where b > 1), count(*), now()",
        "COUNT(DISTINCT A) FILTER (WHERE B > 1), COUNT(*), NOW()",
    );
    expression(
        "struct(a := 1, `b` := struct()), map('k' := v), map(), array[1, array[]]",
        "STRUCT(A := 1, `b` := STRUCT()), MAP('k' := V), MAP(), ARRAY[1, ARRAY[]]",
    );
    expression("array[1][1], `ARRAY`[1], array(1)", "ARRAY[1][1], `ARRAY`[1], ARRAY(1)");
    expression(
        "timestampadd(second, 1, t), dateadd(days, seconds, t)",
        "TIMESTAMPADD(SECONDS, 1, T), DATEADD(DAYS, `SECONDS`, T)",
    );
    expression("timestampadd(\"SECONDS\", 1, t), f(seconds, 1)", "TIMESTAMPADD(`SECONDS`, 1, T), F(`SECONDS`, 1)");
    expression("date '2020-01-01'", "CAST('2020-01-01' AS DATE)");
    expression("a.b, `a`.\"b\", a.select, a->from", "A.B, `a`.`b`, A.`SELECT`, A->`FROM`");
    expression("left(a, 1), replace(a, b, c), date(a), if(a, b)", "LEFT(A, 1), REPLACE(A, B, C), DATE(A), IF(A, B)");
}

#[test]
fn scripts() {
    let statements = parse(" ; show topics;\n-- c;\n/* d; */ list types ;;", None).expect("parses");
    assert_eq!(statements.iter().map(|s| s.text.as_str()).collect::<Vec<_>>(), ["show topics", "list types"]);
    assert!(parse("", None).expect("parses").is_empty());

    let session = |name: &str| (name == "s").then(|| "my_stream".to_owned());
    let text = "DEFINE t = 'topic-1'; SELECT * FROM ${s} WHERE a = '${t} ${u} $${s}'; UNDEFINE t; SELECT '${t}';";
    let statements = parse(text, Some(&session)).expect("parses");
    let printed: Vec<String> = statements.iter().map(ToString::to_string).collect();
    assert_eq!(
        printed,
        [
            "DEFINE T = 'topic-1'",
            "SELECT * FROM MY_STREAM WHERE A = 'topic-1 ${u} ${s}'",
            "UNDEFINE T",
            "SELECT '${t}'"
        ]
    );
    assert_eq!(statements[1].text, "SELECT * FROM my_stream WHERE a = 'topic-1 ${u} ${s}'");
    assert!(parse("SELECT ${s}", None).is_err());
}
