//! Sources with windowed keys.

use super::check_after;

#[test]
fn plans() {
    check_after(
        "CREATE STREAM a (id INT KEY, v INT) WITH (kafka_topic = 'a', value_format = 'JSON', window_type = 'SESSION'); CREATE STREAM b (id INT KEY, v INT) WITH (kafka_topic = 'b', value_format = 'JSON', window_type = 'SESSION');",
        "CREATE STREAM o AS SELECT a.id, a.v, b.v FROM a JOIN b WITHIN 1 HOUR ON a.id = b.id;",
        "
        Sink stream O: topic O, key [A_ID INTEGER] KAFKA, value [A_V INTEGER, B_V INTEGER] JSON, session windows
          Project [A.ID AS A_ID, A.V AS A_V, B.V AS B_V, WINDOWSTART, WINDOWEND]
            StreamStreamJoin inner [A.ID, A.WINDOWSTART, A.WINDOWEND] = [B.ID, B.WINDOWSTART, B.WINDOWEND] within -3600000..3600000 ms
              Project [ID, V, WINDOWSTART, WINDOWEND]
                Source stream A: topic a, key KAFKA, value JSON, session windows
              Project [ID, V, WINDOWSTART, WINDOWEND]
                Source stream B: topic b, key KAFKA, value JSON, session windows
        ",
    );
    check_after(
        "CREATE STREAM a (id INT KEY, v INT) WITH (kafka_topic = 'a', value_format = 'JSON', window_type = 'SESSION');",
        "CREATE STREAM o AS SELECT * FROM a;",
        "
        Sink stream O: topic O, key [ID INTEGER] KAFKA, value [V INTEGER] JSON, session windows
          Project [ID, V, WINDOWSTART, WINDOWEND]
            Source stream A: topic a, key KAFKA, value JSON, session windows
        ",
    );
    check_after(
        "CREATE STREAM a (id INT KEY, v INT) WITH (kafka_topic = 'a', value_format = 'JSON', window_type = 'SESSION');",
        "SELECT * FROM a EMIT CHANGES;",
        "
        Client [ID INTEGER, WINDOWSTART BIGINT, WINDOWEND BIGINT, V INTEGER]
          Project [ID, WINDOWSTART, WINDOWEND, V, WINDOWSTART, WINDOWEND]
            Source stream A: topic a, key KAFKA, value JSON, session windows
        ",
    );
}

#[test]
fn errors() {
    check_after(
        "CREATE STREAM a (id INT KEY, v INT) WITH (kafka_topic = 'a', value_format = 'JSON', window_type = 'SESSION');",
        "CREATE STREAM o AS SELECT * FROM a JOIN s WITHIN 1 HOUR ON a.id = s.id;",
        "
        ERROR: Can not join windowed source to non-windowed source: `A` is SESSION windowed, `S` is not windowed
        LINE 1: CREATE STREAM o AS SELECT * FROM a JOIN s WITHIN 1 HOUR ON a.id = s.id;
                                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        ",
    );
    check_after(
        "CREATE STREAM a (id INT KEY, v INT) WITH (kafka_topic = 'a', value_format = 'JSON', window_type = 'SESSION');",
        "CREATE STREAM o AS SELECT * FROM a PARTITION BY v;",
        "
        ERROR: Implicit repartitioning of windowed sources is not supported
        LINE 1: CREATE STREAM o AS SELECT * FROM a PARTITION BY v;
                                                                ^
        ",
    );
    check_after(
        "CREATE TABLE a (id INT PRIMARY KEY, v INT) WITH (kafka_topic = 'a', value_format = 'JSON', window_type = 'TUMBLING', window_size = '1 HOUR');",
        "CREATE TABLE o AS SELECT * FROM a;",
        "
        ERROR: persistent queries on windowed tables are not supported: A is one
        LINE 1: CREATE TABLE o AS SELECT * FROM a;
                                  ^^^^^^^^^^^^^^^
        HINT: declare a stream over its topic and group that
        ",
    );
}
