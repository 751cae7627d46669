use catalog::{KeyWindow, Source};

use crate::{plan::Planned, testing::World};

fn created(sql: &str) -> Result<Source, String> {
    match World::after("").try_run(sql)? {
        Planned::CreateSource { source, .. } => Ok(source),
        _ => Err("not created".into()),
    }
}

/// `sql` gives a source whose schema, key format, value format are these.
#[track_caller]
fn check(sql: &str, schema: &str, key: &str, value: &str) {
    let source = created(sql).unwrap_or_else(|e| panic!("{e}"));
    let shown = (source.schema.to_string(), source.key_format.name, source.value_format.name);
    assert_eq!(shown, (schema.to_owned(), key.to_owned(), value.to_owned()), "{sql}");
}

/// The last statement of `sql` fails with a message that starts like this, at this text.
#[track_caller]
fn check_error(sql: &str, message: &str, at: &str) {
    let mut world = World::after("");
    let statements = syntax::parse(sql, None).unwrap_or_else(|e| panic!("{}", e.render(sql)));
    let mut last = None;
    for statement in &statements {
        last = Some(world.run(statement));
    }
    match last {
        Some(Err(error)) => {
            assert!(error.message().starts_with(message), "{sql}\n{}", error.message());
            assert_eq!(error.span().map(|s| s.of(sql)), Some(at), "{sql}");
        }
        _ => panic!("{sql} is fine"),
    }
}

#[test]
fn create() {
    check(
        "CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic = 't', value_format = 'json');",
        "`K` STRING KEY, `V` INTEGER",
        "KAFKA",
        "JSON",
    );
    check(
        "CREATE TABLE s (v DECIMAL(4, 2), `k` BIGINT PRIMARY KEY) WITH (kafka_topic = 't', format = 'DELIMITED');",
        "`V` DECIMAL(4, 2), `k` BIGINT KEY",
        "DELIMITED",
        "DELIMITED",
    );
    check(
        "CREATE STREAM s (h ARRAY<STRUCT<key STRING, value BYTES>> HEADERS, b BYTES HEADER('x'), v MAP<STRING, INT>) \
         WITH (kafka_topic = 't', value_format = 'JSON');",
        "`H` ARRAY<STRUCT<`KEY` STRING, `VALUE` BYTES>> HEADERS, `B` BYTES HEADER('x'), `V` MAP<STRING, INTEGER>",
        "KAFKA",
        "JSON",
    );
}

#[test]
fn properties_take_effect() {
    let source = created(
        "CREATE TABLE s (k INT PRIMARY KEY, ts STRING) WITH (kafka_topic = 'new', partitions = 3, format = 'DELIMITED', \
         value_delimiter = 'tab', key_delimiter = '|', timestamp = 'ts', timestamp_format = 'yyyy', \
         window_type = 'tumbling', window_size = '2 minutes', retention_ms = 1000);",
    )
    .expect("a table");
    assert_eq!(source.windowed, Some(KeyWindow::Time { hopping: false, size_ms: Some(120_000) }));
    assert_eq!(source.value_format.delimiter.as_deref(), Some("TAB"));
    assert_eq!(source.key_format.delimiter.as_deref(), Some("|"));
    assert_eq!(source.timestamp.map(|t| (t.column, t.format)), Some(("TS".into(), Some("yyyy".into()))));
    let mut world = World::after("");
    let planned = world.try_run(
        "CREATE TABLE s (k INT PRIMARY KEY, v INT) WITH (kafka_topic = 'n', partitions = 2, format = 'JSON');",
    );
    let Ok(Planned::CreateSource { topic: Some((partitions, replicas, settings)), .. }) = planned else {
        panic!("no topic is made")
    };
    assert_eq!((partitions, replicas), (2, 0));
    assert_eq!(settings.get("cleanup.policy").map(String::as_str), Some("compact"));
}

#[test]
fn defaults_come_from_settings() {
    let mut world = World::after("");
    world.properties.insert("ksql.persistence.default.format.value".into(), "DELIMITED".into());
    world.properties.insert("ksql.persistence.default.format.key".into(), "JSON".into());
    let Ok(Planned::CreateSource { source, .. }) =
        world.try_run("CREATE STREAM s (k INT KEY, v INT) WITH (kafka_topic = 't');")
    else {
        panic!("not created")
    };
    assert_eq!((source.key_format.name.as_str(), source.value_format.name.as_str()), ("JSON", "DELIMITED"));
}

#[test]
fn errors_of_columns() {
    let with = "WITH (kafka_topic = 't', value_format = 'JSON');";
    check_error(&format!("CREATE TABLE s (id INT, v INT) {with}"), "Tables require a PRIMARY KEY", "s");
    check_error(
        &format!("CREATE STREAM s (id INT, rowpartition INT) {with}"),
        "'ROWPARTITION' is a reserved column name",
        "rowpartition",
    );
    check_error(&format!("CREATE STREAM s (id INT, id STRING) {with}"), "Column `ID` is declared twice", "id STRING");
    check_error(
        &format!("CREATE STREAM s (h INT HEADER('key')) {with}"),
        "Invalid type for HEADER('key') column: expected BYTES, got INTEGER",
        "INT",
    );
    check_error(&format!("CREATE STREAM s (v INTT) {with}"), "Cannot resolve unknown type: INTT", "INTT");
    check_error(&format!("CREATE STREAM s {with}"), "No columns supplied", "s");
    check_error(
        "CREATE STREAM s (k MAP<INT, INT> KEY, v INT) WITH (kafka_topic = 't', format = 'JSON');",
        "Map keys, including types that contain maps, are not supported",
        "k MAP<INT, INT> KEY",
    );
    check_error(
        "CREATE STREAM s (v ARRAY<INT>) WITH (kafka_topic = 't', value_format = 'DELIMITED');",
        "The 'DELIMITED' format does not support type 'ARRAY'",
        "v ARRAY<INT>",
    );
}

#[test]
fn errors_of_properties() {
    let create = "CREATE STREAM s (k STRING KEY, v INT)";
    let check = |with: &str, message: &str, at: &str| check_error(&format!("{create} WITH ({with});"), message, at);
    check("value_format = 'JSON'", "Missing required property \"KAFKA_TOPIC\"", "s");
    check("kafka_topic = 't'", "Statement is missing the 'VALUE_FORMAT' property", "WITH (kafka_topic = 't')");
    check("kafka_topic = 't', value_format = 'FOO'", "Unknown format: FOO", "'FOO'");
    check(
        "kafka_topic = 't', format = 'JSON', key_format = 'KAFKA'",
        "Cannot supply both 'KEY_FORMAT' and 'FORMAT'",
        "key_format",
    );
    check(
        "kafka_topic = 't', valueformat = 'JSON'",
        "Invalid config variable(s) in the WITH clause: VALUEFORMAT",
        "valueformat",
    );
    check(
        "kafka_topic = 't', value_format = 'DELIMITED', value_delimiter = ' '",
        "Configuration VALUE_DELIMITER is invalid",
        "' '",
    );
    check(
        "kafka_topic = 't', value_format = 'JSON', value_delimiter = ';'",
        "JSON does not support VALUE_DELIMITER",
        "';'",
    );
    check(
        "kafka_topic = 't', value_format = 'DELIMITED', wrap_single_value = true",
        "Format 'DELIMITED' does not support 'WRAP_SINGLE_VALUE' set to 'true'",
        "true",
    );
    check(
        "kafka_topic = 't', value_format = 'JSON', partitions = 2",
        "A Kafka topic with the name 't' already exists",
        "2",
    );
    check("kafka_topic = 'u', value_format = 'JSON'", "Topic 'u' does not exist", "'u'");
    check("kafka_topic = 't', value_format = 'JSON', partitions = 'x'", "Configuration PARTITIONS is invalid", "'x'");
    check(
        "kafka_topic = 't', value_format = 'JSON', window_type = 'session', window_size = '1 second'",
        "'WINDOW_SIZE' should not be set for SESSION windows",
        "'1 second'",
    );
    check(
        "kafka_topic = 't', value_format = 'JSON', window_type = 'hopping', window_size = '30 bobs'",
        "Configuration WINDOW_SIZE is invalid: Invalid duration: '30 bobs'. Unknown time unit: 'BOBS'",
        "'30 bobs'",
    );
    check(
        "kafka_topic = 't', value_format = 'JSON', window_type = 'tumbling'",
        "'WINDOW_SIZE' must be provided",
        "'tumbling'",
    );
    check(
        "kafka_topic = 't', value_format = 'JSON', timestamp = 'x'",
        "The TIMESTAMP column set in the WITH clause does not exist",
        "'x'",
    );
    check("kafka_topic = 't', value_format = 'JSON', timestamp = 'k'", "The TIMESTAMP column `K` is a STRING", "'k'");
    check("kafka_topic = 't', value_format = 'JSON', timestamp = 'v'", "The TIMESTAMP column `V` is INTEGER", "'v'");
    check(
        "kafka_topic = 't', value_format = 'KAFKA', value_schema_id = 1",
        "VALUE_FORMAT should support schema inference",
        "1",
    );
}

#[test]
fn names_are_taken() {
    let s = "CREATE STREAM s (k INT KEY, v INT) WITH (kafka_topic = 't', value_format = 'JSON');";
    check_error(&format!("{s}{s}"), "Cannot add stream 'S': A stream with the same name already exists", "s");
    let again = s.replace("STREAM s", "STREAM IF NOT EXISTS s");
    assert!(matches!(World::after(s).try_run(&again), Ok(Planned::Nothing(_))));
}

#[test]
fn replacing_adds_columns_only() {
    let s = "CREATE STREAM s (k INT KEY, v INT) WITH (kafka_topic = 't', value_format = 'JSON');";
    let replace = |columns: &str| {
        format!("CREATE OR REPLACE STREAM s ({columns}) WITH (kafka_topic = 't', value_format = 'JSON');")
    };
    let planned = World::after(s).try_run(&replace("k INT KEY, v INT, w STRING"));
    assert!(matches!(planned, Ok(Planned::CreateSource { replaces: true, .. })));
    check_error(
        &format!("{s}{}", replace("k INT KEY, w STRING")),
        "Cannot upgrade data source `S`: The following columns are changed, missing or reordered: [`V` INTEGER]",
        "s",
    );
    check_error(
        &format!("{s}{}", replace("k BIGINT KEY, v INT")),
        "Cannot upgrade data source `S`: Key columns must be identical. The following key columns are changed, missing or \
         reordered: [`K` INTEGER KEY]",
        "s",
    );
    check_error(
        "CREATE OR REPLACE SOURCE STREAM s (v INT) WITH (kafka_topic = 't', value_format = 'JSON');",
        "Cannot add stream 'S': CREATE OR REPLACE is not supported on source streams",
        "s",
    );
}

#[test]
fn alter_and_drop() {
    let s = "CREATE STREAM s (k INT KEY, v INT) WITH (kafka_topic = 't', value_format = 'JSON');";
    let source = "CREATE SOURCE TABLE st (k INT PRIMARY KEY, v INT) WITH (kafka_topic = 't', value_format = 'JSON');";
    let mut world = World::after(s);
    let Ok(Planned::CreateSource { source: altered, replaces: true, .. }) =
        world.try_run("ALTER STREAM s ADD COLUMN w STRING;")
    else {
        panic!("not altered")
    };
    assert_eq!(altered.schema.to_string(), "`K` INTEGER KEY, `V` INTEGER, `W` STRING");
    check_error(&format!("{s}ALTER STREAM s ADD v STRING;"), "Cannot add column `V` to schema", "v");
    check_error(&format!("{s}ALTER TABLE s ADD w STRING;"), "Incompatible data source type is STREAM", "s");
    check_error(&format!("{source}ALTER TABLE st ADD w STRING;"), "Cannot alter table 'ST'", "st");
    check_error(&format!("{source}DROP TABLE st DELETE TOPIC;"), "Cannot delete topic for read-only source: ST", "st");
    check_error(
        &format!("{s}DROP TABLE s;"),
        "Incompatible data source type is STREAM, but statement was DROP TABLE",
        "s",
    );
    check_error("DROP STREAM nope;", "Stream `NOPE` does not exist", "nope");
    assert!(World::after(s).try_run("DROP STREAM IF EXISTS nope; DROP STREAM s;").is_ok());
}

#[test]
fn source_tables_are_materialized() {
    let sql = "CREATE SOURCE TABLE st (k INT PRIMARY KEY, v INT) WITH (kafka_topic = 't', value_format = 'JSON');";
    let Ok(Planned::CreateSource { materialize: Some(query), .. }) = World::after("").try_run(sql) else {
        panic!("not materialized")
    };
    assert_eq!(query.reads, ["ST"]);
    assert_eq!(query.output, [0, 1]);
}

#[test]
fn user_types() {
    let mut world = World::after("CREATE TYPE address AS STRUCT<street STRING, nr INT>;");
    let sql = "CREATE STREAM s (a ARRAY<address>) WITH (kafka_topic = 't', value_format = 'JSON');";
    let Ok(Planned::CreateSource { source, .. }) = world.try_run(sql) else { panic!("not created") };
    assert_eq!(source.schema.to_string(), "`A` ARRAY<STRUCT<`STREET` STRING, `NR` INTEGER>>");
    assert!(world.try_run("CREATE TYPE address AS INT;").is_err_and(|e| e.contains("a type of that name exists")));
    assert!(world.try_run("CREATE TYPE IF NOT EXISTS address AS INT;").is_ok());
    assert!(world.try_run("DROP TYPE address;").is_ok());
    assert!(world.try_run("DROP TYPE address;").is_err_and(|e| e.contains("Type ADDRESS does not exist")));
}
