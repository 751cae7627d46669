use arrow::array::Array;

use crate::{plan::Planned, testing::World};

const SOURCES: &str = "\
    CREATE STREAM s (v INT, k STRING KEY, d DECIMAL(4, 2), a ARRAY<BIGINT>, st STRUCT<f INT, g STRING>) \
      WITH (kafka_topic = 't', value_format = 'JSON');\
    CREATE TABLE tb (k1 INT PRIMARY KEY, k2 STRING PRIMARY KEY, v BIGINT) WITH (kafka_topic = 't', format = 'JSON');\
    CREATE SOURCE STREAM ro (k INT KEY, v INT) WITH (kafka_topic = 't', value_format = 'JSON');\
    CREATE STREAM h (k INT KEY, x BYTES HEADER('x'), v INT) WITH (kafka_topic = 't', value_format = 'JSON');\
    CREATE STREAM w (k INT KEY, v INT) WITH (kafka_topic = 't', value_format = 'JSON', window_type = 'session');";

/// Rows as text: values in order of the schema, the time if given, `x` for a tombstone.
fn rows(sql: &str) -> Result<Vec<String>, String> {
    let Planned::InsertValues(rows) = World::after(SOURCES).try_run(sql)? else { return Err("no rows".into()) };
    let cell = |row: usize| move |c: &arrow::array::ArrayRef| crate::expr::text::element(c.as_ref(), row);
    let row = |row: usize| {
        let cells: Vec<String> = rows.columns.iter().map(cell(row)).collect();
        let time = rows.rowtime.get(row).copied().flatten().map(|t| format!(" @{t}")).unwrap_or_default();
        let tombstone = if rows.tombstones.get(row) == Some(&true) { " x" } else { "" };
        format!("{}{time}{tombstone}", cells.join(", "))
    };
    assert!(rows.columns.iter().all(|c| c.len() == rows.rows));
    Ok((0..rows.rows).map(row).collect())
}

#[track_caller]
fn check(sql: &str, expect: &[&str]) {
    assert_eq!(rows(sql), Ok(expect.iter().map(|s| (*s).to_owned()).collect()), "{sql}");
}

#[track_caller]
fn check_error(sql: &str, message: &str) {
    match rows(sql) {
        Ok(rows) => panic!("{sql} gives {rows:?}"),
        Err(error) => assert!(error.starts_with(&format!("ERROR: {message}")), "{error}"),
    }
}

#[test]
fn values_go_where_they_belong() {
    check(
        "INSERT INTO s VALUES ('key', 1, 2, ARRAY[3], STRUCT(f := 4));",
        &["1, 'key', 2.00, ARRAY[3], STRUCT(F := 4, G := NULL)"],
    );
    check(
        "INSERT INTO s (v, rowtime) VALUES (1, 1234), (1 + 1, '1970-01-02');",
        &["1, NULL, NULL, NULL, NULL @1234", "2, NULL, NULL, NULL, NULL @86400000"],
    );
    check("INSERT INTO s (k, d, a) VALUES (CONCAT('a', 'b'), -1.5, ARRAY[]);", &["NULL, 'ab', -1.50, ARRAY[], NULL"]);
}

#[test]
fn literals_convert() {
    check("INSERT INTO tb (v, k2, k1) VALUES (5, 'x', '7');", &["7, 'x', 5"]);
    check("INSERT INTO s (st) VALUES (STRUCT());", &["NULL, NULL, NULL, NULL, STRUCT(F := NULL, G := NULL)"]);
    check(
        "INSERT INTO s (st) VALUES (STRUCT(g := 'x', unknown := 1));",
        &["NULL, NULL, NULL, NULL, STRUCT(F := NULL, G := 'x')"],
    );
    check_error(
        "INSERT INTO tb (k1, k2) VALUES (5000000000, 'x');",
        "Value for column `K1`: 5000000000 is BIGINT where INTEGER is expected",
    );
    check_error(
        "INSERT INTO s (d) VALUES (123.456);",
        "Value for column `D`: 123.456 is DECIMAL(6, 3) where DECIMAL(4, 2) is expected",
    );
}

#[test]
fn what_cannot_be_written() {
    check_error("INSERT INTO nope VALUES (1);", "Cannot insert values into an unknown stream/table: `NOPE`");
    check_error("INSERT INTO \"s\" VALUES (1);", "Cannot insert values into an unknown stream/table: `s`");
    check_error("INSERT INTO ro VALUES (1, 2);", "Cannot insert values into read-only stream: RO");
    check_error("INSERT INTO w VALUES (1, 2);", "Cannot insert values into windowed stream: W");
    check_error("INSERT INTO h (x) VALUES (NULL);", "Cannot insert into HEADER columns: X");
    check("INSERT INTO h VALUES (1, 2);", &["1, NULL, 2"]);
    check_error("INSERT INTO s (k, rowoffset) VALUES ('a', 1);", "Inserting into column `ROWOFFSET` is not allowed");
    check_error("INSERT INTO s (k, kk) VALUES ('a', 1);", "Column `KK` does not exist in `S`");
    check_error("INSERT INTO s (k, k) VALUES ('a', 'b');", "Column `K` is given twice");
    check_error(
        "INSERT INTO s (k, v) VALUES ('a');",
        "Expected number columns and values to match: 2 columns are named, 1 values",
    );
    check_error(
        "INSERT INTO s (k) VALUES (foo.bar);",
        "Value for column `K`: 'FOO' is not a valid stream/table name or alias",
    );
    check_error(
        "INSERT INTO tb (k1, v) VALUES (1, 2);",
        "Failed to insert values into TB. Value for primary key column `K2`",
    );
    check_error(
        "INSERT INTO tb (k1, k2) VALUES (1, NULL);",
        "Failed to insert values into TB. Value for primary key column `K2`",
    );
    check_error("INSERT INTO s (v) VALUES (1 / 0);", "division by zero");
}

#[test]
fn deletes_name_whole_keys() {
    check("DELETE FROM tb WHERE k1 = 1 AND k2 = 'a';", &["1, 'a', NULL x"]);
    check("DELETE FROM tb WHERE k2 IN ('a', 'b') AND k1 = 1 AND k2 <> 'b';", &["1, 'a', NULL x"]);
    check(
        "DELETE FROM tb WHERE (k1 = 1 AND k2 = 'a') OR (k1 = 2 AND k2 = 'b');",
        &["1, 'a', NULL x", "2, 'b', NULL x"],
    );
    check_error("DELETE FROM tb WHERE k1 = 1;", "DELETE is by key only");
    check_error("DELETE FROM tb WHERE k1 = 1 AND k2 = 'a' AND v = 1;", "DELETE is by key only");
    check_error("DELETE FROM tb;", "DELETE without WHERE is not supported");
    check_error("DELETE FROM s WHERE k = 'a';", "Cannot delete from S: it is a stream");
}
