//! Formats with a schema registry: schemas that columns get, columns that schemas give, records across both.

use std::sync::Arc;

use crate::support::columns;
use arrow::{
    array::ArrayRef,
    util::display::{ArrayFormatter, FormatOptions},
};
use formats::{
    EncodedRows, FormatContext, FormatSpec, MemoryRegistry, Part, RowError, SchemaReference, SchemaRegistry,
    SchemaText, SchemaType, format,
};
use types::{Column, Schema};

fn schema(ty: SchemaType, text: &str) -> SchemaText {
    SchemaText { ty, text: text.to_owned(), references: Vec::new() }
}

fn context(registry: Arc<MemoryRegistry>) -> FormatContext {
    FormatContext { registry: Some(registry), topic: "OUTPUT".to_owned(), ..Default::default() }
}

/// A context in which the topic's values (id 1) and keys (id 2) have that schema.
fn registered(ty: SchemaType, text: &str) -> FormatContext {
    let registry = MemoryRegistry::default();
    registry.insert("OUTPUT-value", 1, &schema(ty, text)).expect("a new id");
    registry.insert("OUTPUT-key", 1, &schema(ty, text)).expect("the same schema");
    context(Arc::new(registry))
}

/// The schema's columns.
fn check_inferred(name: &str, part: Part, spec: &FormatSpec, ty: SchemaType, text: &str, expect: &str) {
    let found = format(name).and_then(|f| f.infer(part, spec, &registered(ty, text)));
    let found = found.map(|columns| Schema::new(columns).to_string()).map_err(|e| e.to_string());
    assert_eq!(found.as_deref(), Ok(expect), "{text}");
}

/// The columns' schema.
fn check_schema(name: &str, part: Part, spec: &FormatSpec, cols: &str, expect: &str) {
    let found = format(name)
        .and_then(|f| f.schema(part, &columns(cols), spec, &context(Arc::default())))
        .map(|found| found.expect("a schema").text)
        .map_err(|e| e.to_string());
    // Texts stand in lines here; schemas of JSON have none.
    let lines = if expect.starts_with('{') { expect.lines().map(str::trim).collect() } else { expect.to_owned() };
    assert_eq!(found.as_deref(), Ok(lines.as_str()), "{cols}");
}

fn arrays_of(cols: &[Column], json: &str) -> Vec<ArrayRef> {
    let wanted: Vec<usize> = (0..cols.len()).collect();
    let mut errors = Vec::new();
    let mut decoder =
        format("JSON").and_then(|f| f.decoder(Part::Value, cols, &wanted, &FormatSpec::default())).expect("a decoder");
    let arrays = decoder.decode(&[Some(json.as_bytes())], &mut errors);
    assert_eq!(errors, []);
    arrays
}

/// Encode one row: its bytes, `None` for a null, or the row's error.
fn encode(
    name: &str,
    spec: &FormatSpec,
    context: &FormatContext,
    cols: &str,
    json: &str,
) -> Result<Option<Vec<u8>>, String> {
    let cols = columns(cols);
    let arrays = arrays_of(&cols, json);
    let format = format(name).expect("a format");
    let mut encoder = format.encoder_in(Part::Value, &cols, spec, context).map_err(|e| e.to_string())?;
    let (mut out, mut errors): (EncodedRows, Vec<RowError>) = Default::default();
    encoder.encode(&arrays, 1, None, &mut out, &mut errors);
    errors.pop().map_or(Ok(out.get(0).map(<[u8]>::to_vec)), |e| Err(e.message))
}

fn decode(name: &str, spec: &FormatSpec, context: &FormatContext, cols: &str, record: &[u8]) -> Result<String, String> {
    let cols = columns(cols);
    let wanted: Vec<usize> = (0..cols.len()).collect();
    let mut errors: Vec<RowError> = Vec::new();
    let format = format(name).expect("a format");
    let mut decoder = format.decoder_in(Part::Value, &cols, &wanted, spec, context).expect("a decoder");
    let arrays = decoder.decode(&[Some(record)], &mut errors);
    let options = FormatOptions::new().with_null("NULL");
    let text = |a: &ArrayRef| ArrayFormatter::try_new(a.as_ref(), &options).expect("printable").value(0).to_string();
    errors.pop().map_or_else(|| Ok(arrays.iter().map(text).collect::<Vec<_>>().join(" | ")), |e| Err(e.message))
}

/// Write columns with a registered schema, read them as other columns.
fn check_across(name: &str, ty: SchemaType, text: &str, from: &str, json: &str, to: &str, expect: Result<&str, &str>) {
    let context = registered(ty, text);
    let unwrapped = !from.contains(',') && from.starts_with("V ");
    let wrap = |spec: FormatSpec| FormatSpec { wrap_single: unwrapped.then_some(false), ..spec };
    let writing = wrap(FormatSpec { schema_id: Some(1), ..FormatSpec::default() });
    let found = encode(name, &writing, &context, from, json)
        .and_then(|bytes| decode(name, &wrap(FormatSpec::default()), &context, to, &bytes.ok_or("null")?));
    assert_eq!(found.as_deref().map_err(String::as_str), expect, "{text} {json}");
}

const BY_ID: FormatSpec = FormatSpec {
    name: String::new(),
    delimiter: None,
    wrap_single: None,
    schema_id: Some(1),
    schema_full_name: None,
    extra: std::collections::BTreeMap::new(),
};

#[test]
fn avro_schemas_of_columns() {
    let plain = FormatSpec::default();
    let check = |part, spec: &FormatSpec, cols, expect: &str| check_schema("AVRO", part, spec, cols, expect);
    check(
        Part::Value,
        &plain,
        "FOO INT",
        r#"{"type":"record","name":"KsqlDataSourceSchema","namespace":"io.confluent.ksql.avro_schemas",
         "fields":[{"name":"FOO","type":["null","int"],"default":null}],
         "connect.name":"io.confluent.ksql.avro_schemas.KsqlDataSourceSchema"}"#,
    );
    check(
        Part::Key,
        &plain,
        "K STRUCT<F1 STRUCT<F1 INT>>",
        r#"{"type":"record","name":"OutputKey","namespace":"io.confluent.ksql.avro_schemas",
         "fields":[{"name":"F1","type":["null",{"type":"record","name":"OutputKey_F1","fields":[{"name":"F1",
         "type":["null","int"],"default":null}],
         "connect.name":"io.confluent.ksql.avro_schemas.OutputKey_F1"}],"default":null}],
         "connect.name":"io.confluent.ksql.avro_schemas.OutputKey"}"#,
    );
    let bare = FormatSpec { wrap_single: Some(false), ..FormatSpec::default() };
    check(Part::Value, &bare, "FOO ARRAY<BIGINT>", r#"{"type":"array","items":["null","long"]}"#);
    let named = FormatSpec { schema_full_name: Some("com.acme.Row".into()), ..FormatSpec::default() };
    check(
        Part::Value,
        &named,
        "D DATE",
        r#"{"type":"record","name":"Row","namespace":"com.acme","fields":[{"name":"D","type":["null",
         {"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Date",
         "logicalType":"date"}],"default":null}],"connect.name":"com.acme.Row"}"#,
    );
    let refused =
        |cols: &str| format("AVRO").and_then(|f| f.check(Part::Value, &columns(cols), &plain)).expect_err("refused");
    assert_eq!(refused("1A INT").to_string(), "Schema is not compatible with Avro: Illegal initial character: 1A");
    assert!(refused("M MAP<INT, INT>").to_string().starts_with("Avro only supports MAPs with STRING keys"));
}

#[test]
fn avro_columns_of_schemas() {
    let plain = FormatSpec::default();
    let check = |part, spec: &FormatSpec, text, expect| {
        check_inferred("AVRO", part, spec, SchemaType::Avro, text, expect);
    };
    let record = r#"{"type":"record","name":"r","fields":[
        {"name":"c1","type":{"type":"enum","name":"Suit","symbols":["SPADES"]}},
        {"name":"c2","type":["null",{"type":"array","items":"string"}]},
        {"name":"c3","type":{"type":"map","values":"long"}},
        {"name":"c4","type":{"type":"record","name":"s","fields":[{"name":"f1","type":"int"}]}},
        {"name":"c5","type":"float"},
        {"name":"c6","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}},
        {"name":"c7","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"c8","type":["int","string"]},
        {"name":"c9","type":"s"}]}"#;
    check(
        Part::Value,
        &plain,
        record,
        "`C1` STRING, `C2` ARRAY<STRING>, `C3` MAP<STRING, BIGINT>, `C4` STRUCT<`F1` INTEGER>, `C5` DOUBLE, \
         `C6` DECIMAL(4, 2), `C7` TIMESTAMP, `C9` STRUCT<`F1` INTEGER>",
    );
    let one = r#"{"type":"record","name":"r","fields":[{"name":"c1","type":"int"}]}"#;
    check(Part::Value, &BY_ID, one, "`c1` INTEGER");
    check(Part::Key, &plain, one, "`ROWKEY` STRUCT<`C1` INTEGER> KEY");
    check(Part::Key, &plain, r#"{"type":"int"}"#, "`ROWKEY` INTEGER KEY");
    check(Part::Value, &FormatSpec { wrap_single: Some(false), ..plain.clone() }, "\"int\"", "`ROWVAL` INTEGER");
    let endless = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"r","type":"r"}]}"#;
    let columns = format("AVRO").and_then(|f| f.infer(Part::Value, &plain, &registered(SchemaType::Avro, endless)));
    assert!(columns.is_ok());
    let missing =
        format("AVRO").and_then(|f| f.infer(Part::Value, &plain, &context(Arc::default()))).expect_err("refused");
    assert!(missing.to_string().starts_with("Schema for message values on topic 'OUTPUT' does not exist"), "{missing}");
}

#[test]
fn avro_across_schemas() {
    let check = |text, from, json, to, expect| check_across("AVRO", SchemaType::Avro, text, from, json, to, expect);
    let record = |fields: &str| format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#);
    let suit = record(
        r#"{"name":"a","type":{"type":"enum","name":"S","symbols":["X","Y"]}},{"name":"b","type":"float"},
           {"name":"c","type":{"type":"map","values":"int"}},{"name":"d","type":["long","null"]}"#,
    );
    check(
        &suit,
        "A STRING, B DOUBLE, C MAP<STRING, INT>, D BIGINT",
        r#"{"a":"Y","b":0.5,"c":{"k":7},"d":null}"#,
        "D STRING, C MAP<STRING, BIGINT>, B STRING, A STRING, E INT",
        Ok("NULL | {k: 7} | 0.5 | Y | NULL"),
    );
    let defaults = record(r#"{"name":"a","type":"int","default":100},{"name":"b","type":["null","int"]}"#);
    check(&defaults, "A INT", "{}", "A INT, B INT", Ok("100 | NULL"));
    let only_int = record(r#"{"name":"a","type":"int"}"#);
    check(&only_int, "A INT", "{}", "A INT", Err("field a: the value is NULL, and the schema has no null for it"));
    let required = record(r#"{"name":"a","type":"int"},{"name":"b","type":"double"}"#);
    check(
        &required,
        "A INT",
        r#"{"a":1}"#,
        "A INT",
        Err(
            "the columns do not fit the schema 1: Unable to serialize records: its field b has no default, and no column is it",
        ),
    );
    check(
        &required,
        "A STRING",
        r#"{"a":"x"}"#,
        "A INT",
        Err("the columns do not fit the schema 1: field a: the schema has int, which does not take STRING"),
    );
    let only_string = record(r#"{"name":"a","type":"string"}"#);
    check(
        &only_string,
        "A STRING",
        r#"{"a":"x"}"#,
        "A INT",
        Err("column `a`: expected INTEGER, found Avro's string (byte 5)"),
    );
    check("\"int\"", "V INT", r#"{"V":7}"#, "V STRING", Ok("7"));
    check(r#"{"type":"array","items":"string"}"#, "V ARRAY<STRING>", r#"{"V":["a"]}"#, "V ARRAY<STRING>", Ok("[a]"));
    let fixed = record(
        r#"{"name":"a","type":{"type":"fixed","name":"f","size":6,"logicalType":"decimal","precision":10,"scale":3}}"#,
    );
    check(&fixed, "A DECIMAL(6,2)", r#"{"a":-1.5}"#, "A DECIMAL(8,4)", Ok("-1.5000"));
    let micros = record(r#"{"name":"a","type":{"type":"long","logicalType":"timestamp-micros"}}"#);
    check(&micros, "A TIMESTAMP", r#"{"a":1500}"#, "A TIMESTAMP", Ok("1970-01-01T00:00:01.500"));
    let plain = FormatSpec::default();
    let nothing = context(Arc::default());
    let unknown = decode("AVRO", &plain, &nothing, "A INT", &[0, 0, 0, 0, 9, 2]).expect_err("refused");
    assert_eq!(unknown, "the schema registry has no schema 9 (byte 1)");
    let json = decode("AVRO", &plain, &nothing, "A INT", b"{}").expect_err("refused");
    assert_eq!(json, "expected a record with a schema id (first byte 0), found 123 (byte 0)");
}

#[test]
fn avro_values_without_bytes_are_bounded() {
    // 2^40 nulls take no bytes at all.
    let text = r#"{"type":"record","name":"r","fields":[{"name":"a","type":{"type":"array","items":"null"}}]}"#;
    let context = registered(SchemaType::Avro, text);
    let mut record = vec![0, 0, 0, 0, 1];
    record.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x40]);
    for cols in ["A ARRAY<INT>", "B INT"] {
        let error = decode("AVRO", &FormatSpec::default(), &context, cols, &record).expect_err("refused");
        assert!(error.contains("more than"), "{error}");
    }
    // Records within records within …: thirty doublings, no bytes.
    let mut text = r#"{"type":"record","name":"r0","fields":[{"name":"a","type":"null"}]}"#.to_owned();
    for i in 1..30 {
        text = format!(
            r#"{{"type":"record","name":"r{i}","fields":[{{"name":"a","type":{text}}},{{"name":"b","type":"r{}"}}]}}"#,
            i - 1
        );
    }
    let context = registered(SchemaType::Avro, &text);
    let error = decode("AVRO", &FormatSpec::default(), &context, "X INT", &[0, 0, 0, 0, 1]).expect_err("refused");
    assert!(error.contains("more than"), "{error}");
    assert!(format("AVRO").and_then(|f| f.infer(Part::Value, &FormatSpec::default(), &context)).is_err());
}

#[test]
fn json_sr_schemas() {
    let plain = FormatSpec::default();
    let int = r#"{"type":"object","properties":{"FOO":{"connect.index":0,"oneOf":[{"type":"null"},{"type":"integer",
         "connect.type":"int32"}]}}}"#;
    check_schema("JSON_SR", Part::Value, &plain, "FOO INT", int);
    check_inferred("JSON_SR", Part::Value, &plain, SchemaType::Json, int, "`FOO` INTEGER");
    let key = r#"{"oneOf":[{"type":"null"},{"type":"object","properties":{"F1":{"connect.index":0,
         "oneOf":[{"type":"null"},{"type":"string"}]}}}]}"#;
    check_schema("JSON_SR", Part::Key, &plain, "K STRUCT<F1 STRING>", key);
    check_inferred("JSON_SR", Part::Key, &plain, SchemaType::Json, key, "`ROWKEY` STRUCT<`F1` STRING> KEY");
    let decimal = r#"{"oneOf":[{"type":"null"},{"type":"number","title":"org.apache.kafka.connect.data.Decimal",
         "connect.version":1,"connect.type":"bytes","connect.parameters":{"scale":"2",
         "connect.decimal.precision":"4"}}]}"#;
    check_schema("JSON_SR", Part::Key, &plain, "K DECIMAL(4,2)", decimal);
    check_inferred("JSON_SR", Part::Key, &plain, SchemaType::Json, decimal, "`ROWKEY` DECIMAL(4, 2) KEY");
    let own = r##"{"type":"object","properties":{"c1":{"type":"integer"},"c2":{"$ref":"#/$defs/d"},
         "c3":{"type":["null","array"],"items":{"enum":["a"]}},"c4":{"type":"object"}},
         "$defs":{"d":{"type":"number"}}}"##;
    check_inferred(
        "JSON_SR",
        Part::Value,
        &BY_ID,
        SchemaType::Json,
        own,
        "`c1` BIGINT, `c2` DOUBLE, `c3` ARRAY<STRING>",
    );
    let types = "A ARRAY<DATE>, B MAP<STRING, TIME>, C STRUCT<T TIMESTAMP>, D BYTES, E BOOLEAN, F DOUBLE, G BIGINT";
    let derived =
        format("JSON_SR").and_then(|f| f.schema(Part::Value, &columns(types), &plain, &context(Arc::default())));
    let text = derived.expect("supported").expect("a schema").text;
    check_inferred("JSON_SR", Part::Value, &plain, SchemaType::Json, &text, &Schema::new(columns(types)).to_string());
}

#[test]
fn json_sr_records() {
    let context = registered(SchemaType::Json, r#"{"type":"object","properties":{"c1":{},"c2":{"type":"string"}}}"#);
    let spec = FormatSpec { schema_id: Some(1), ..FormatSpec::default() };
    let bytes = encode("JSON_SR", &spec, &context, "c1 BIGINT", r#"{"c1":4}"#).expect("encoded").expect("not null");
    assert_eq!(bytes, b"\0\0\0\0\x01{\"c1\":4,\"c2\":null}");
    assert_eq!(decode("JSON_SR", &spec, &context, "C1 INT", &bytes), Ok("4".to_owned()));
    let bare = decode("JSON_SR", &spec, &context, "C1 INT", b"{}").expect_err("refused");
    assert!(bare.ends_with("JSON reads records without one"), "{bare}");
    let wrong = decode("JSON_SR", &spec, &context, "C1 INT", b"\0\0\0\0\x01{\"c1\":{}}").expect_err("refused");
    assert_eq!(wrong, "column `C1`: expected INTEGER, found object {} (byte 11)");
}

#[test]
fn protobuf_schemas() {
    let spec = |representation: &str| {
        let mut spec = FormatSpec::default();
        spec.extra.insert("VALUE_PROTOBUF_NULLABLE_REPRESENTATION".into(), representation.into());
        spec
    };
    check_schema(
        "PROTOBUF",
        Part::Value,
        &spec("OPTIONAL"),
        "I INT, S STRING",
        "syntax = \"proto3\";\n\nmessage ConnectDefault1 {\n  optional int32 I = 1;\n  optional string S = 2;\n}\n",
    );
    check_schema(
        "PROTOBUF",
        Part::Value,
        &spec("WRAPPER"),
        "I INT, B BOOLEAN",
        "syntax = \"proto3\";\n\nimport \"google/protobuf/wrappers.proto\";\n\nmessage ConnectDefault1 {\n  \
         google.protobuf.Int32Value I = 1;\n  google.protobuf.BoolValue B = 2;\n}\n",
    );
    let types = "A ARRAY<INT>, M MAP<STRING, DOUBLE>, S STRUCT<F STRUCT<G BIGINT>, H STRING>, D DECIMAL(9,2), \
                 T TIMESTAMP, U DATE, V TIME, W BYTES, X BOOLEAN, Y ARRAY<DECIMAL(4,1)>, Z ARRAY<STRUCT<I INT>>";
    let derived = format("PROTOBUF")
        .and_then(|f| f.schema(Part::Value, &columns(types), &FormatSpec::default(), &context(Arc::default())));
    let text = derived.expect("supported").expect("a schema").text;
    let infer = |spec: &FormatSpec, text: &str, expect: &str| {
        check_inferred("PROTOBUF", Part::Value, spec, SchemaType::Protobuf, text, expect);
    };
    infer(&FormatSpec::default(), &text, &Schema::new(columns(types)).to_string());
    let own = "syntax = \"proto3\"; package p; option java_package = \"x\"; // a comment\n message A { /* and */ \
               enum Suit { option allow_alias = true; SPADES = 0; HEARTS = 1 [deprecated = true]; } \
               reserved 9 to 11; Suit c1 = 1; oneof o { float c2 = 2; .p.A.B c3 = 3; } \
               message B { uint32 x = 1; } repeated sint64 c4 = 4 [packed = false]; map<string, B> c5 = 5; A c6 = 6; } \
               service S { rpc f (A) returns (A) {} } message C { fixed64 y = 1; }";
    let by_name = |name: &str| FormatSpec { schema_full_name: Some(name.to_owned()), ..BY_ID };
    infer(&by_name("p.C"), own, "`y` BIGINT");
    infer(&by_name("p.A.B"), own, "`x` BIGINT");
    let flat = "syntax = \"proto3\"; message M { int32 expected = 1; bytes c2 = 2; }";
    infer(&FormatSpec::default(), flat, "`EXPECTED` INTEGER, `C2` BYTES");
    let nested = columns("A ARRAY<ARRAY<INT>>");
    assert!(format("PROTOBUF").and_then(|f| f.check(Part::Value, &nested, &FormatSpec::default())).is_err());
    let missing = format("PROTOBUF")
        .and_then(|f| f.infer(Part::Value, &by_name("p.D"), &registered(SchemaType::Protobuf, own)))
        .expect_err("refused");
    assert_eq!(missing.to_string(), "the Protobuf schema has no message p.D");
}

#[test]
fn protobuf_across_schemas() {
    let check = |text: &str, from, json, to, expect| {
        check_across("PROTOBUF", SchemaType::Protobuf, text, from, json, to, expect);
    };
    let message = |fields: &str| {
        format!(
            "syntax = \"proto3\"; message M {{ {fields} enum E {{ X = 0; Y = -4; }} message N {{ int32 i = 1; }} }}"
        )
    };
    check(
        &message("float a = 1; uint32 b = 2; sint64 c = 3; E d = 4; fixed32 e = 5;"),
        "A DOUBLE, B BIGINT, C BIGINT, D STRING, E BIGINT",
        r#"{"a":1.1234,"b":1,"c":-4,"d":"Y","e":4294967295}"#,
        "E BIGINT, D STRING, C STRING, B INT, A DOUBLE",
        Ok("4294967295 | Y | -4 | 1 | 1.1233999729156494"),
    );
    let types = "A INT, B STRING, C ARRAY<INT>, D MAP<STRING, INT>, E STRUCT<I INT>, F STRING";
    let fields =
        message("int32 a = 1; string b = 2; repeated int32 c = 3; map<string, int32> d = 4; N e = 5; E f = 6;");
    check(&fields, types, "{}", types, Ok("0 |  | [] | {} | NULL | X"));
    check(&fields, types, r#"{"e":{}}"#, types, Ok("0 |  | [] | {} | {I: 0} | X"));
    check(
        &fields,
        types,
        r#"{"a":7,"b":"x","c":[1,0,-1],"d":{"k":1,"l":null},"e":{"i":5},"f":"Y"}"#,
        types,
        Ok("7 | x | [1, 0, -1] | {k: 1, l: 0} | {I: 5} | Y"),
    );
    check(&fields, types, r#"{"c":[1,null]}"#, types, Err("field c: Protobuf has no NULL in a repeated field"));
    check(
        &fields,
        "A STRING, B STRING",
        "{}",
        "B STRING",
        Err("the columns do not fit the Protobuf schema: the field a does not take STRING"),
    );
    check(
        &fields,
        "B STRING, A INT",
        r#"{"b":"x","a":3}"#,
        "B INT, A INT",
        Err("column `b`: expected INTEGER, found Protobuf's String (byte 9)"),
    );
}

#[test]
fn protobuf_messages_and_references() {
    let registry = MemoryRegistry::default();
    let event = schema(SchemaType::Protobuf, "syntax = \"proto3\"; message Event { int64 timestamp = 1; }");
    registry.register("event.proto", &event).expect("registered");
    let logistics = SchemaText {
        ty: SchemaType::Protobuf,
        text: "syntax = \"proto3\"; import \"event.proto\"; message Other {} message Logistics { Event event = 1; }"
            .into(),
        references: vec![SchemaReference { name: "event.proto".into(), subject: "event.proto".into(), version: 1 }],
    };
    registry.insert("OUTPUT-value", 10, &logistics).expect("a new id");
    let context = context(Arc::new(registry));
    let spec = FormatSpec { schema_id: Some(10), schema_full_name: Some("Logistics".into()), ..FormatSpec::default() };
    let inferred = format("PROTOBUF").and_then(|f| f.infer(Part::Value, &spec, &context)).expect("columns");
    assert_eq!(Schema::new(inferred).to_string(), "`event` STRUCT<`timestamp` BIGINT>");
    let json = r#"{"event":{"timestamp":1}}"#;
    let bytes = encode("PROTOBUF", &spec, &context, "event STRUCT<timestamp BIGINT>", json).expect("encoded");
    // The header: schema 10, a path of one step to the second message.
    assert_eq!(bytes.as_deref(), Some(&[0, 0, 0, 0, 10, 2, 2, 0x0a, 2, 8, 1][..]));
    let back =
        decode("PROTOBUF", &FormatSpec::default(), &context, "EVENT STRUCT<TIMESTAMP INT>", &bytes.unwrap_or_default());
    assert_eq!(back, Ok("{TIMESTAMP: 1}".to_owned()));
}
