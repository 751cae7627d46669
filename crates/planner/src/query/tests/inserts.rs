//! INSERT INTO … SELECT.

use super::{check, check_after};

#[test]
fn plans() {
    check_after(
        "CREATE STREAM o (id INT KEY, v DECIMAL(20, 0)) WITH (kafka_topic = 'o', value_format = 'JSON', partitions = 1);",
        "INSERT INTO o SELECT id, v FROM s;",
        "
        Sink stream O: topic o, key [ID INTEGER] KAFKA, value [V DECIMAL(20, 0)] JSON
          Project [ID, CAST(V AS DECIMAL(20, 0)) AS V]
            Project [ID, V]
              Source stream S: topic s, key KAFKA, value JSON
        ",
    );
}

#[test]
fn errors() {
    check_after(
        "CREATE STREAM o (id INT KEY, v STRING) WITH (kafka_topic = 'o', value_format = 'JSON', partitions = 1);",
        "INSERT INTO o SELECT id, v FROM s;",
        "
        ERROR: Incompatible schema between results and sink
        LINE 1: INSERT INTO o SELECT id, v FROM s;
                              ^^^^^^^^^^^^^^^^^^^
        DETAIL: Result schema is `ID` INTEGER KEY, `V` BIGINT. Sink schema is `ID` INTEGER KEY, `V` STRING
        HINT: names, order and types must agree
        ",
    );
    check(
        "INSERT INTO t SELECT id, w, id AS o FROM r;",
        "
        ERROR: INSERT INTO can only be used to insert into a stream. T is a table
        LINE 1: INSERT INTO t SELECT id, w, id AS o FROM r;
                            ^
        ",
    );
    check(
        "INSERT INTO nowhere SELECT * FROM s;",
        "
        ERROR: Source `NOWHERE` does not exist
        LINE 1: INSERT INTO nowhere SELECT * FROM s;
                            ^^^^^^^
        ",
    );
}
