//! CREATE OR REPLACE.

use super::check_after;

#[test]
fn plans() {
    check_after(
        "CREATE STREAM o AS SELECT id, v FROM s;",
        "CREATE OR REPLACE STREAM o AS SELECT id, v, name FROM s WHERE v > 1;",
        "
        Sink stream O: topic O, key [ID INTEGER] KAFKA, value [V BIGINT, NAME STRING] JSON
          Project [ID, V, NAME]
            Filter (V > 1)
              Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check_after(
        "CREATE TABLE o AS SELECT id, SUM(v) AS n FROM s GROUP BY id;",
        "CREATE OR REPLACE TABLE o AS SELECT id, SUM(v) AS n FROM s WHERE v > 1 GROUP BY id;",
        "
        Sink table O: topic O, key [ID INTEGER] KAFKA, value [N BIGINT] JSON
          Project [ID, SUM(V) AS N]
            Aggregate by [ID]: SUM(V)
              Filter (V > 1)
                Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check_after(
        "CREATE STREAM o AS SELECT id, v FROM s;",
        "CREATE STREAM IF NOT EXISTS o AS SELECT id, v FROM s;",
        "
        Cannot add stream `O`: A stream with the same name already exists.
        ",
    );
}

#[test]
fn errors() {
    check_after(
        "CREATE STREAM o AS SELECT id, v, name FROM s;",
        "CREATE OR REPLACE STREAM o AS SELECT id, name, v FROM s;",
        "
        ERROR: Cannot upgrade data source `O`: The following columns are changed, missing or reordered: [`V` BIGINT, `NAME` STRING]
        LINE 1: CREATE OR REPLACE STREAM o AS SELECT id, name, v FROM s;
                                         ^
        HINT: columns can only be added at the end; for other changes DROP it and create it anew
        ",
    );
    check_after(
        "CREATE STREAM o AS SELECT id, v FROM s;",
        "CREATE OR REPLACE STREAM o AS SELECT id, w AS v FROM r;",
        "
        ERROR: Cannot replace query CSAS_O_0: it would read R instead of S
        LINE 1: CREATE OR REPLACE STREAM o AS SELECT id, w AS v FROM r;
                                         ^
        HINT: what it has kept would mean something else; DROP it and create it anew
        ",
    );
    check_after(
        "CREATE TABLE o AS SELECT id, COUNT(*) AS n FROM s GROUP BY id;",
        "CREATE OR REPLACE TABLE o AS SELECT id, COUNT(*) AS n FROM s WHERE v > 1 GROUP BY id;",
        "
        ERROR: Cannot replace query CTAS_O_0: an aggregation must go on to read the same columns. Values differ: [`ID`] vs. [`ID`, `V`]
        LINE 1: CREATE OR REPLACE TABLE o AS SELECT id, COUNT(*) AS n FROM s WHERE v > 1 GROUP BY id;
                                        ^
        HINT: what it has kept would mean something else; DROP it and create it anew
        ",
    );
    check_after(
        "CREATE TABLE o AS SELECT id, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY id;",
        "CREATE OR REPLACE TABLE o AS SELECT id, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) WHERE v > 1 GROUP BY id;",
        "
        ERROR: Cannot replace query CTAS_O_0: Upgrades not yet supported for windowed aggregations
        LINE 1: CREATE OR REPLACE TABLE o AS SELECT id, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) WHERE v > 1 GROUP BY id;
                                        ^
        HINT: what it has kept would mean something else; DROP it and create it anew
        ",
    );
    check_after(
        "CREATE STREAM o AS SELECT id, v FROM s;",
        "CREATE STREAM o AS SELECT id, v FROM s;",
        "
        ERROR: Cannot add stream 'O': A stream with the same name already exists
        LINE 1: CREATE STREAM o AS SELECT id, v FROM s;
                              ^
        HINT: DROP STREAM O; CREATE OR REPLACE STREAM; or CREATE STREAM IF NOT EXISTS
        ",
    );
    check_after(
        "CREATE STREAM o AS SELECT id, v FROM s;",
        "CREATE OR REPLACE TABLE o AS SELECT id, w FROM t;",
        "
        ERROR: Cannot add table 'O': A stream with the same name already exists
        LINE 1: CREATE OR REPLACE TABLE o AS SELECT id, w FROM t;
                                        ^
        ",
    );
}
