//! Queries made of queries: UNION ALL, WITH, subqueries, views.

use super::{check, check_after};

#[test]
fn plans() {
    check(
        "CREATE STREAM o AS SELECT id, v FROM s UNION ALL SELECT id, w FROM r;",
        "
        Sink stream O: topic O, key [ID INTEGER] KAFKA, value [V BIGINT] JSON
          UnionAll
            Project [ID, V]
              Source stream S: topic s, key KAFKA, value JSON
            Project [ID, W AS V]
              Source stream R: topic r, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o AS WITH big AS (SELECT id, v FROM s WHERE v > 10) SELECT id, COUNT(*) AS n FROM big GROUP BY id;",
        "
        Sink table O: topic O, key [ID INTEGER] KAFKA, value [N BIGINT] JSON
          Project [ID, COUNT(*) AS N]
            Aggregate by [ID]: COUNT(*)
              Project [ID]
                Filter (V > 10)
                  Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "SELECT x.id, n FROM (SELECT id, COUNT(*) AS n FROM s GROUP BY id) x JOIN t ON x.id = t.id EMIT CHANGES;",
        "
        Client [X_ID INTEGER, N BIGINT]
          Project [X.ID AS X_ID, X.N]
            TableTableJoin inner [X.ID] = [T.ID]
              Project [ID, COUNT(*) AS N]
                Aggregate by [ID]: COUNT(*)
                  Source stream S: topic s, key KAFKA, value JSON
              Source table T: topic t, key KAFKA, value JSON
        ",
    );
    check_after(
        "CREATE VIEW big AS SELECT id, v FROM s WHERE v > 10;",
        "CREATE STREAM o AS SELECT id, v * 2 AS twice FROM big b;",
        "
        Sink stream O: topic O, key [ID INTEGER] KAFKA, value [TWICE BIGINT] JSON
          Project [ID, (V * 2) AS TWICE]
            Project [ID, V]
              Filter (V > 10)
                Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "SELECT id FROM s WITH (start = 'earliest') EMIT CHANGES;",
        "
        Client [ID INTEGER]
          Project [ID]
            Source stream S: topic s, key KAFKA, value JSON, from the earliest
        ",
    );
}

#[test]
fn errors() {
    check(
        "CREATE STREAM o AS SELECT id, rowtime FROM s UNION ALL SELECT id, w FROM r;",
        "
        ERROR: Reserved column name in select: `ROWTIME`. Please remove or alias the column
        LINE 1: CREATE STREAM o AS SELECT id, rowtime FROM s UNION ALL SELECT id, w FROM r;
                                              ^^^^^^^
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, v FROM s UNION ALL SELECT id, k FROM r;",
        "
        ERROR: UNION ALL types do not match: column V is BIGINT in the first SELECT and INTEGER here
        LINE 1: CREATE STREAM o AS SELECT id, v FROM s UNION ALL SELECT id, k FROM r;
                                                                            ^
        HINT: use CAST
        ",
    );
    check_after(
        "CREATE VIEW bad AS SELECT id, vv FROM s;",
        "CREATE STREAM o AS SELECT id FROM bad;",
        "
        ERROR: view BAD: SELECT column 'VV' cannot be resolved
        LINE 1: CREATE STREAM o AS SELECT id FROM bad;
                                                  ^^^
        ",
    );
    check(
        "SELECT id FROM s WITH (start = 'yesterday') EMIT CHANGES;",
        "
        ERROR: START is none that is known
        LINE 1: SELECT id FROM s WITH (start = 'yesterday') EMIT CHANGES;
                                               ^^^^^^^^^^^
        HINT: 'earliest', 'latest', milliseconds since 1970, '2024-01-31T12:00:00Z', '0:17,1:4' (offsets), or for a table 'snapshot'
        ",
    );
    check(
        "SELECT id FROM s WITH (start = 'snapshot') EMIT CHANGES;",
        "
        ERROR: START 'snapshot' is for tables: a stream has events and no rows that stand
        LINE 1: SELECT id FROM s WITH (start = 'snapshot') EMIT CHANGES;
                                               ^^^^^^^^^^
        HINT: 'earliest' begins at the stream's first record
        ",
    );
}
