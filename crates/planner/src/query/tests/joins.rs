//! Joins.

use super::check;

#[test]
fn plans() {
    check(
        "CREATE STREAM o AS SELECT s.id, v, t.w FROM s JOIN t ON s.id = t.id;",
        "
        Sink stream O: topic O, key [S_ID INTEGER] KAFKA, value [V BIGINT, W BIGINT] JSON
          Project [S.ID AS S_ID, S.V, T.W]
            StreamTableJoin inner [S.ID] = [T.ID]
              Project [ID, V]
                Source stream S: topic s, key KAFKA, value JSON
              Source table T: topic t, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE STREAM o AS SELECT r.k, r.w, u.x FROM r LEFT JOIN u ON u.id = r.k WHERE r.w > 5 AND u.x > 6;",
        "
        Sink stream O: topic O, key [K INTEGER] KAFKA, value [W BIGINT, X BIGINT] JSON
          Project [R.K, R.W, U.X]
            Filter (U.X > 6)
              StreamTableJoin left [R.K] = [U.ID]
                Exchange by [K] KAFKA like U
                  Project [W, K]
                    Filter (R.W > 5)
                      Source stream R: topic r, key KAFKA, value JSON
                Source table U: topic u, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE STREAM o AS SELECT s.id, s.v, r.w FROM s JOIN r WITHIN 10 SECONDS GRACE PERIOD 1 SECOND ON s.id = r.id;",
        "
        Sink stream O: topic O, key [S_ID INTEGER] KAFKA, value [V BIGINT, W BIGINT] JSON
          Project [S.ID AS S_ID, S.V, R.W]
            StreamStreamJoin inner [S.ID] = [R.ID] within -10000..10000 ms grace 1000 ms
              Project [ID, V]
                Source stream S: topic s, key KAFKA, value JSON
              Project [ID, W]
                Source stream R: topic r, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE STREAM o AS SELECT * FROM s FULL JOIN r WITHIN (1 SECOND, 2 SECONDS) ON s.id = r.k;",
        "
        Sink stream O: topic O, key [ROWKEY INTEGER] KAFKA, value [S_ID INTEGER, S_V BIGINT, S_NAME STRING, S_TAGS ARRAY<STRING>, R_ID INTEGER, R_W BIGINT, R_K INTEGER] JSON
          Project [ROWKEY, S.ID AS S_ID, S.V AS S_V, S.NAME AS S_NAME, S.TAGS AS S_TAGS, R.ID AS R_ID, R.W AS R_W, R.K AS R_K]
            StreamStreamJoin full [S.ID] = [R.K] within -1000..2000 ms
              Project [ID, V, NAME, TAGS]
                Source stream S: topic s, key KAFKA, value JSON
              Exchange by [K] KAFKA like S
                Project [ID, W, K]
                  Source stream R: topic r, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o AS SELECT t.id, w, x FROM t JOIN u ON t.id = u.id;",
        "
        Sink table O: topic O, key [T_ID INTEGER] KAFKA, value [W BIGINT, X BIGINT] JSON
          Project [T.ID AS T_ID, T.W, U.X]
            TableTableJoin inner [T.ID] = [U.ID]
              Source table T: topic t, key KAFKA, value JSON
              Source table U: topic u, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o AS SELECT t.id, w, x FROM t LEFT JOIN u ON t.o = u.id;",
        "
        Sink table O: topic O, key [T_ID INTEGER] KAFKA, value [W BIGINT, X BIGINT] JSON
          Project [T.ID AS T_ID, T.W, U.X]
            ForeignKeyJoin left T.O = U.ID
              Source table T: topic t, key KAFKA, value JSON
              Source table U: topic u, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE STREAM o AS SELECT s.id, t.w, u.x FROM s JOIN t ON s.id = t.id JOIN u ON t.id = u.id;",
        "
        Sink stream O: topic O, key [S_ID INTEGER] KAFKA, value [W BIGINT, X BIGINT] JSON
          Project [S.ID AS S_ID, T.W, U.X]
            StreamTableJoin inner [S.ID] = [U.ID]
              Project [S.ID, T.W]
                StreamTableJoin inner [S.ID] = [T.ID]
                  Project [ID]
                    Source stream S: topic s, key KAFKA, value JSON
                  Source table T: topic t, key KAFKA, value JSON
              Source table U: topic u, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE STREAM o AS SELECT a.id, a.v, b.v FROM s a JOIN s b WITHIN 1 HOUR ON a.id = b.id;",
        "
        Sink stream O: topic O, key [A_ID INTEGER] KAFKA, value [A_V BIGINT, B_V BIGINT] JSON
          Project [A.ID AS A_ID, A.V AS A_V, B.V AS B_V]
            StreamStreamJoin inner [A.ID] = [B.ID] within -3600000..3600000 ms
              Project [ID, V]
                Source stream S as A: topic s, key KAFKA, value JSON
              Project [ID, V]
                Source stream S as B: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE STREAM o AS SELECT s.id, v, t.w FROM s JOIN t ON s.id = t.id AND s.v > t.w;",
        "
        Sink stream O: topic O, key [S_ID INTEGER] KAFKA, value [V BIGINT, W BIGINT] JSON
          Project [S.ID AS S_ID, S.V, T.W]
            Filter (S.V > T.W)
              StreamTableJoin inner [S.ID] = [T.ID]
                Project [ID, V]
                  Source stream S: topic s, key KAFKA, value JSON
                Source table T: topic t, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o AS SELECT t.w, COUNT(*) AS n FROM s JOIN t ON s.id = t.id GROUP BY t.w;",
        "
        Sink table O: topic O, key [W BIGINT] KAFKA, value [N BIGINT] JSON
          Project [T.W AS W, COUNT(*) AS N]
            Aggregate by [T.W]: COUNT(*)
              Exchange by [T.W] KAFKA
                Project [T.W]
                  StreamTableJoin inner [S.ID] = [T.ID]
                    Project [ID]
                      Source stream S: topic s, key KAFKA, value JSON
                    Source table T: topic t, key KAFKA, value JSON
        ",
    );
}

#[test]
fn what_else_on_says() {
    check(
        "CREATE STREAM o AS SELECT s.id, v, t.w FROM s LEFT JOIN t ON s.id = t.id AND s.v > t.w AND s.v = t.w;",
        "
        Sink stream O: topic O, key [S_ID INTEGER] KAFKA, value [V BIGINT, W BIGINT] JSON
          Project [S.ID AS S_ID, S.V, T.W]
            StreamTableJoin left [S.ID] = [T.ID] and ((S.V > T.W) AND (S.V = T.W))
              Project [ID, V]
                Source stream S: topic s, key KAFKA, value JSON
              Source table T: topic t, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE STREAM o AS SELECT s.id, v FROM s JOIN r WITHIN 1 HOUR ON s.id = r.id AND s.v = r.w;",
        "
        Sink stream O: topic O, key [S_ID INTEGER] KAFKA, value [V BIGINT] JSON
          Project [S.ID AS S_ID, S.V]
            Filter (S.V = R.W)
              StreamStreamJoin inner [S.ID] = [R.ID] within -3600000..3600000 ms
                Project [ID, V]
                  Source stream S: topic s, key KAFKA, value JSON
                Project [ID, W]
                  Source stream R: topic r, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o AS SELECT t.id, a.x, b.x FROM t JOIN u a ON t.o = a.id LEFT JOIN u b ON t.id + 1 = b.id AND b.x > a.x;",
        "
        Sink table O: topic O, key [T_ID INTEGER] KAFKA, value [A_X BIGINT, B_X BIGINT] JSON
          Project [T.ID AS T_ID, A.X AS A_X, B.X AS B_X]
            ForeignKeyJoin left (T.ID + 1) = B.ID and (B.X > A.X)
              Project [T.ID, A.X]
                ForeignKeyJoin inner T.O = A.ID
                  Source table T: topic t, key KAFKA, value JSON
                  Source table U as A: topic u, key KAFKA, value JSON
              Source table U as B: topic u, key KAFKA, value JSON
        ",
    );
}

#[test]
fn errors() {
    check(
        "CREATE STREAM o AS SELECT t.id, name FROM s LEFT JOIN t ON s.v + 1 = t.w;",
        "
        ERROR: Invalid join condition: stream-table joins require to join on the table's primary key. Got (S.V + 1) = T.W
        LINE 1: CREATE STREAM o AS SELECT t.id, name FROM s LEFT JOIN t ON s.v + 1 = t.w;
                                                                           ^^^^^^^^^^^^^
        ",
    );
    check(
        "CREATE STREAM o AS SELECT s.id, t.w, u.x FROM s JOIN t ON s.id = t.id JOIN u ON t.o = u.id;",
        "
        ERROR: Key missing from projection. The query used to build `O` must include the join expressions T.O or U.ID in its projection (eg, SELECT T.O...)
        LINE 1: CREATE STREAM o AS SELECT s.id, t.w, u.x FROM s JOIN t ON s.id = t.id JOIN u ON t.o = u.id;
                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        ",
    );
    check(
        "CREATE TABLE o AS SELECT ROWKEY AS id, t.w, u.x FROM t FULL JOIN u ON t.id = u.id AND t.w > u.x;",
        "
        ERROR: a condition besides the key in ON of a FULL OUTER JOIN of tables is not supported: (T.W > U.X)
        LINE 1: CREATE TABLE o AS SELECT ROWKEY AS id, t.w, u.x FROM t FULL JOIN u ON t.id = u.id AND t.w > u.x;
                                                                                                      ^^^^^^^^^
        HINT: two rows of a key that are no partners would both be the result's row of it
        ",
    );
    check(
        "CREATE STREAM o AS SELECT v, t.w FROM s JOIN t ON s.id = t.id;",
        "
        ERROR: Key missing from projection. The query used to build `O` must include the join expressions S.ID or T.ID in its projection (eg, SELECT S.ID...)
        LINE 1: CREATE STREAM o AS SELECT v, t.w FROM s JOIN t ON s.id = t.id;
                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        ",
    );
    check(
        "CREATE STREAM o AS SELECT * FROM s JOIN r ON s.id = r.id;",
        "
        ERROR: Stream-stream joins must have a WITHIN clause specified. None was provided
        LINE 1: CREATE STREAM o AS SELECT * FROM s JOIN r ON s.id = r.id;
                                                   ^^^^^^^^^^^^^^^^^^^^^
        HINT: write WITHIN 1 HOUR, say, before ON
        ",
    );
    check(
        "CREATE STREAM o AS SELECT * FROM s JOIN t WITHIN 1 HOUR ON s.id = t.id;",
        "
        ERROR: WITHIN is for joins of two streams; a stream-table join is not windowed
        LINE 1: CREATE STREAM o AS SELECT * FROM s JOIN t WITHIN 1 HOUR ON s.id = t.id;
                                                          ^^^^^^^^^^^^^
        HINT: leave WITHIN away
        ",
    );
    check(
        "CREATE STREAM o AS SELECT * FROM s JOIN t ON s.id = t.w;",
        "
        ERROR: Invalid join condition: types don't match. Got S.ID{INTEGER} = T.W{BIGINT}
        LINE 1: CREATE STREAM o AS SELECT * FROM s JOIN t ON s.id = t.w;
                                                             ^^^^^^^^^^
        HINT: CAST one side to the type of the other
        ",
    );
    check(
        "CREATE STREAM o AS SELECT * FROM s JOIN t ON s.v = t.id;",
        "
        ERROR: Invalid join condition: types don't match. Got S.V{BIGINT} = T.ID{INTEGER}
        LINE 1: CREATE STREAM o AS SELECT * FROM s JOIN t ON s.v = t.id;
                                                             ^^^^^^^^^^
        HINT: CAST one side to the type of the other
        ",
    );
    check(
        "CREATE STREAM o AS SELECT * FROM s RIGHT JOIN t ON s.id = t.id;",
        "
        ERROR: RIGHT OUTER JOIN of a stream with a table is not supported
        LINE 1: CREATE STREAM o AS SELECT * FROM s RIGHT JOIN t ON s.id = t.id;
                                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^
        HINT: only the stream's rows make results: INNER and LEFT joins can do that
        ",
    );
    check(
        "CREATE STREAM o AS SELECT * FROM t JOIN s ON s.id = t.id;",
        "
        ERROR: Invalid join order: table-stream joins are not supported; only stream-table joins. Got T [INNER] JOIN S
        LINE 1: CREATE STREAM o AS SELECT * FROM t JOIN s ON s.id = t.id;
                                                   ^^^^^^^^^^^^^^^^^^^^^
        HINT: write the stream first
        ",
    );
    check(
        "CREATE STREAM o AS SELECT * FROM s JOIN t ON s.id > t.id;",
        "
        ERROR: Unsupported join expression: (S.ID > T.ID). A join needs an equality between its two sides
        LINE 1: CREATE STREAM o AS SELECT * FROM s JOIN t ON s.id > t.id;
                                                             ^^^^^^^^^^^
        ",
    );
    check(
        "CREATE STREAM o AS SELECT * FROM s JOIN s WITHIN 1 HOUR ON s.id = s.id;",
        "
        ERROR: joins need different names for multiple occurrences of the same source: S
        LINE 1: CREATE STREAM o AS SELECT * FROM s JOIN s WITHIN 1 HOUR ON s.id = s.id;
                                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        HINT: give each an alias: FROM a x JOIN a y
        ",
    );
    check(
        "CREATE TABLE o AS SELECT * FROM t RIGHT JOIN u ON t.o = u.id;",
        "
        ERROR: RIGHT OUTER JOIN on a foreign key is not supported
        LINE 1: CREATE TABLE o AS SELECT * FROM t RIGHT JOIN u ON t.o = u.id;
                                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, v FROM s JOIN t ON s.id = t.id;",
        "
        ERROR: Column 'ID' is ambiguous. Could be S.ID or T.ID
        LINE 1: CREATE STREAM o AS SELECT id, v FROM s JOIN t ON s.id = t.id;
                                          ^^
        HINT: write the source's name or alias before it, with a dot
        ",
    );
}
