//! GROUP BY, windows, HAVING.

use super::check;

#[test]
fn plans() {
    check(
        "CREATE TABLE o AS SELECT id, COUNT(*) AS n FROM s GROUP BY id;",
        "
        Sink table O: topic O, key [ID INTEGER] KAFKA, value [N BIGINT] JSON
          Project [ID, COUNT(*) AS N]
            Aggregate by [ID]: COUNT(*)
              Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o AS SELECT name AS k, SUM(v) + 1 AS total, COUNT(*) FROM s WHERE v > 0 GROUP BY name HAVING COUNT(*) > 2;",
        "
        Sink table O: topic O, key [K STRING] KAFKA, value [TOTAL BIGINT, KSQL_COL_0 BIGINT] JSON
          Project [NAME AS K, (SUM(V) + 1) AS TOTAL, COUNT(*) AS KSQL_COL_0]
            Filter (COUNT(*) > 2)
              Aggregate by [NAME]: SUM(V), COUNT(*)
                Exchange by [NAME] KAFKA
                  Project [V, NAME]
                    Filter (V > 0)
                      Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o AS SELECT name, MAX(v) FILTER (WHERE id > 3) AS m FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY name EMIT FINAL;",
        "
        Sink table O: topic O, key [NAME STRING] KAFKA, value [M BIGINT] JSON, tumbling windows of 3600000 ms
          Project [NAME, MAX(V) FILTER (WHERE (ID > 3)) AS M, WINDOWSTART, WINDOWEND]
            Aggregate by [NAME]: MAX(V) FILTER (WHERE (ID > 3)), tumbling 3600000 ms grace 0 ms retention 3600000 ms, final
              Exchange by [NAME] KAFKA
                Project [ID, V, NAME]
                  Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o AS SELECT name, WINDOWSTART AS ws, COUNT(*) AS n FROM s WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECONDS, GRACE PERIOD 1 SECOND) GROUP BY name;",
        "
        Sink table O: topic O, key [NAME STRING] KAFKA, value [WS BIGINT, N BIGINT] JSON, hopping windows of 10000 ms
          Project [NAME, WINDOWSTART AS WS, COUNT(*) AS N, WINDOWSTART, WINDOWEND]
            Aggregate by [NAME]: COUNT(*), hopping 10000 ms by 5000 ms grace 1000 ms retention 11000 ms
              Exchange by [NAME] KAFKA
                Project [NAME]
                  Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o AS SELECT DISTINCT name FROM s;",
        "
        Sink table O: topic O, key [NAME STRING] KAFKA, value [] JSON
          Distinct
            Project [NAME]
              Aggregate by [NAME]: COUNT(*)
                Exchange by [NAME] KAFKA
                  Project [NAME]
                    Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o WITH (key_format = 'JSON') AS SELECT DISTINCT o, w % 2 AS odd FROM t;",
        "
        Sink table O: topic O, key [O INTEGER, ODD BIGINT] JSON, value [] JSON
          Distinct
            Project [O, (W % 2) AS ODD]
              Filter (COUNT(*) > 0)
                Aggregate by [O, (W % 2)]: COUNT(*)
                  Exchange by [O, (W % 2)] JSON
                    Source table T: topic t, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o WITH (key_format = 'JSON') AS SELECT name, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY name INCLUDE NULLS EMIT FINAL IDLE TIMEOUT 1 MINUTE;",
        "
        Sink table O: topic O, key [NAME STRING] JSON, value [N BIGINT] JSON, tumbling windows of 3600000 ms
          Project [NAME, COUNT(*) AS N, WINDOWSTART, WINDOWEND]
            Aggregate by [NAME] with NULL: COUNT(*), tumbling 3600000 ms grace 0 ms retention 3600000 ms, final or idle for 60000 ms
              Exchange by [NAME] KAFKA, with NULL
                Project [NAME]
                  Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o AS SELECT name, COUNT(*) AS n FROM s WINDOW SESSION (5 MINUTES) GROUP BY name;",
        "
        Sink table O: topic O, key [NAME STRING] KAFKA, value [N BIGINT] JSON, session windows
          Project [NAME, COUNT(*) AS N, WINDOWSTART, WINDOWEND]
            Aggregate by [NAME]: COUNT(*), session 300000 ms grace 86100000 ms retention 86400000 ms
              Exchange by [NAME] KAFKA
                Project [NAME]
                  Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o AS SELECT w, COUNT(*) AS n, SUM(o) AS total FROM t GROUP BY w;",
        "
        Sink table O: topic O, key [W BIGINT] KAFKA, value [N BIGINT, TOTAL INTEGER] JSON
          Project [W, COUNT(*) AS N, SUM(O) AS TOTAL]
            Aggregate by [W]: COUNT(*), SUM(O)
              Exchange by [W] KAFKA
                Source table T: topic t, key KAFKA, value JSON
        ",
    );
    check(
        "SELECT COUNT(*) AS n, SUM(v) FROM s EMIT CHANGES;",
        "
        Client [N BIGINT, KSQL_COL_0 BIGINT]
          Project [COUNT(*) AS N, SUM(V) AS KSQL_COL_0, 1]
            Aggregate by [1]: COUNT(*), SUM(V)
              Exchange by [1] KAFKA
                Project [V]
                  Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "SELECT SUM(v) FROM s GROUP BY name EMIT CHANGES;",
        "
        Client [KSQL_COL_0 BIGINT]
          Project [SUM(V) AS KSQL_COL_0, NAME]
            Aggregate by [NAME]: SUM(V)
              Exchange by [NAME] KAFKA
                Project [V, NAME]
                  Source stream S: topic s, key KAFKA, value JSON
        ",
    );
}

#[test]
fn errors() {
    check(
        "CREATE TABLE o AS SELECT name, v, COUNT(*) FROM s GROUP BY name;",
        "
        ERROR: Non-aggregate SELECT expression(s) not part of GROUP BY: V
        LINE 1: CREATE TABLE o AS SELECT name, v, COUNT(*) FROM s GROUP BY name;
                                               ^
        HINT: either add the column(s) to the GROUP BY or remove them from the SELECT
        ",
    );
    check(
        "CREATE TABLE o AS SELECT COUNT(*) AS n FROM s GROUP BY name;",
        "
        ERROR: Key missing from projection. The query used to build `O` must include the grouping expression NAME in its projection (eg, SELECT NAME...)
        LINE 1: CREATE TABLE o AS SELECT COUNT(*) AS n FROM s GROUP BY name;
                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        ",
    );
    check(
        "CREATE TABLE o AS SELECT name, SUM(COUNT(*)) FROM s GROUP BY name;",
        "
        ERROR: Aggregate functions can not be nested: SUM(COUNT(*))
        LINE 1: CREATE TABLE o AS SELECT name, SUM(COUNT(*)) FROM s GROUP BY name;
                                               ^^^^^^^^^^^^^
        ",
    );
    check(
        "CREATE TABLE o AS SELECT name FROM s GROUP BY name;",
        "
        ERROR: GROUP BY requires aggregate functions in either the SELECT or HAVING clause
        LINE 1: CREATE TABLE o AS SELECT name FROM s GROUP BY name;
                                                              ^^^^
        HINT: add COUNT(*)
        ",
    );
    check(
        "CREATE TABLE o AS SELECT name, COUNT(*) FROM s GROUP BY name HAVING v > 1;",
        "
        ERROR: Non-aggregate HAVING expression not part of GROUP BY: (V > 1)
        LINE 1: CREATE TABLE o AS SELECT name, COUNT(*) FROM s GROUP BY name HAVING v > 1;
                                                                                    ^^^^^
        HINT: conditions on single rows belong into WHERE
        ",
    );
    check(
        "CREATE TABLE o AS SELECT name, COUNT(*) FROM s GROUP BY SUM(v);",
        "
        ERROR: GROUP BY does not support aggregate functions: SUM is an aggregate function
        LINE 1: CREATE TABLE o AS SELECT name, COUNT(*) FROM s GROUP BY SUM(v);
                                                                        ^^^^^^
        ",
    );
    check(
        "CREATE STREAM o AS SELECT name, COUNT(*) FROM s GROUP BY name;",
        "
        ERROR: Invalid result type. The SELECT query produces a TABLE, not a STREAM
        LINE 1: CREATE STREAM o AS SELECT name, COUNT(*) FROM s GROUP BY name;
                              ^
        HINT: use CREATE TABLE … AS SELECT
        ",
    );
    check(
        "CREATE TABLE o AS SELECT name, COUNT(*) FROM s GROUP BY name EMIT FINAL;",
        "
        ERROR: EMIT FINAL is only supported for windowed aggregations
        LINE 1: CREATE TABLE o AS SELECT name, COUNT(*) FROM s GROUP BY name EMIT FINAL;
                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        HINT: add WINDOW and GROUP BY, or write EMIT CHANGES
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, v FROM s WINDOW TUMBLING (SIZE 1 HOUR);",
        "
        ERROR: WINDOW clause requires a GROUP BY clause
        LINE 1: CREATE STREAM o AS SELECT id, v FROM s WINDOW TUMBLING (SIZE 1 HOUR);
                                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        ",
    );
    check(
        "CREATE TABLE o AS SELECT name, MIN(windowstart) FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY name;",
        "
        ERROR: Window bounds column WINDOWSTART can only be used in the SELECT clause of windowed aggregations and of queries over windowed sources
        LINE 1: CREATE TABLE o AS SELECT name, MIN(windowstart) FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY name;
                                                   ^^^^^^^^^^^
        ",
    );
    check(
        "CREATE TABLE o AS SELECT name, COUNT(*) FROM s WINDOW HOPPING (SIZE 5 SECONDS, ADVANCE BY 10 SECONDS) GROUP BY name;",
        "
        ERROR: a hopping window advances by 1 to its size, 5000 ms; found 10000 ms
        LINE 1: CREATE TABLE o AS SELECT name, COUNT(*) FROM s WINDOW HOPPING (SIZE 5 SECONDS, ADVANCE BY 10 SECONDS) GROUP BY name;
                                                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        ",
    );
    check(
        "CREATE TABLE o AS SELECT name, v, COUNT(*) FROM s GROUP BY name, v;",
        "
        ERROR: Key format does not support schema: The 'KAFKA' format only supports a single field. Got: [`NAME` STRING KEY, `V` BIGINT KEY]
        LINE 1: CREATE TABLE o AS SELECT name, v, COUNT(*) FROM s GROUP BY name, v;
                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        HINT: give another KEY_FORMAT in WITH
        ",
    );
}
