//! Any bytes are a record or a row error, any text is a schema or an error, and a bad record never costs another one.

use std::{path::Path, sync::Arc};

use crate::support::columns;
use arrow::{
    array::{Array, ArrayRef},
    compute::concat,
};
use formats::{
    Decoder, EncodedRows, FormatContext, FormatSpec, MemoryRegistry, Part, RowError, SchemaReference, SchemaRegistry,
    SchemaText, SchemaType,
    compatibility::{canonical, incompatibilities},
    format,
};
use fuzz::{Damage, Room, kind_of};
use types::{Column, Schema};

const TOPIC: &str = "T";

/// Columns of every type, and rows of them as JSON.
const FLAT: &str =
    "B BOOLEAN, I INT, L BIGINT, D DOUBLE, N DECIMAL(12, 3), S STRING, X BYTES, DA DATE, TI TIME, TS TIMESTAMP";
const FLAT_ROWS: &[&str] = &[
    r#"{"B":true,"I":-7,"L":9007199254740993,"D":1.5e-3,"N":123456789.125,"S":"é\n\"x\"","X":"AP9/","DA":19000,"TI":3600000,"TS":1700000000123}"#,
    r#"{"B":null,"I":2147483647,"L":-1,"D":0.1,"N":-0.001,"S":"","X":"","DA":-1,"TI":0,"TS":-5}"#,
];
const NESTED: &str = "A ARRAY<STRING>, M MAP<STRING, BIGINT>, ST STRUCT<F INT, G STRUCT<H DOUBLE, K ARRAY<INT>>>, \
                      AA ARRAY<STRUCT<P STRING, Q DECIMAL(6, 2)>>, MM MAP<STRING, STRUCT<Z TIMESTAMP>>";
const NESTED_ROWS: &[&str] = &[
    r#"{"A":["a","b",""],"M":{"k":1,"l":-2},"ST":{"F":1,"G":{"H":2.5,"K":[1,2,3]}},"AA":[{"P":"x","Q":1.25}],"MM":{"z":{"Z":1000}}}"#,
    r#"{"A":[],"M":{},"ST":{"F":null,"G":{"H":0,"K":[]}},"AA":[],"MM":{}}"#,
];
const DEEP: &str = "X ARRAY<ARRAY<ARRAY<MAP<STRING, ARRAY<INT>>>>>";
const DEEP_ROWS: &[&str] = &[r#"{"X":[[[{"k":[1,2]}],[]],[]]}"#];

const WORDS: &[&str] = &[
    "null",
    "true",
    "false",
    "NaN",
    "1e999",
    "-",
    "\"",
    "\\u0000",
    "\\ud800",
    "\\",
    "{}",
    "[]",
    "[[",
    "}}",
    ",",
    ":",
    "\r\n",
    "\"\"",
    "é",
    "\u{feff}",
    "0x1",
    "1970-01-01",
    "\"F\":",
    "\"k\":",
    "record",
    "enum",
    "fixed",
    "union",
    "array",
    "map",
    "items",
    "values",
    "fields",
    "symbols",
    "size",
    "logicalType",
    "decimal",
    "precision",
    "scale",
    "default",
    "aliases",
    "namespace",
    "type",
    "name",
    "properties",
    "oneOf",
    "anyOf",
    "allOf",
    "$ref",
    "#/definitions/d",
    "#",
    "$defs",
    "additionalProperties",
    "required",
    "connect.type",
    "int64",
    "title",
    "message",
    "repeated",
    "optional",
    "oneof",
    "map<string, int32>",
    "import",
    "reserved",
    "extensions",
    "enum E { A = 0; }",
    "option",
    "service",
    "rpc",
    "syntax",
    "proto2",
    "proto3",
    "google.protobuf.Timestamp",
    "google.protobuf.Int32Value",
    "package a.b;",
    "= 1",
    "group",
    "to max",
];

const NESTS: &[(&str, &str)] = &[
    ("[", "]"),
    ("{\"a\":", "}"),
    ("{\"type\":\"array\",\"items\":", "}"),
    ("{\"type\":\"record\",\"name\":\"n\",\"fields\":[{\"name\":\"f\",\"type\":", "}]}"),
    ("{\"properties\":{\"a\":", "}}"),
    ("{\"oneOf\":[", "]}"),
    ("{\"allOf\":[{\"$ref\":\"#\"},", "]}"),
    ("message M { ", " }"),
    ("message M { M m = 1; ", " }"),
    ("option (a) = { a: ", " }"),
    ("/*", "*/"),
    ("\n\u{4}", ""),
    ("\u{b}", "\u{c}"),
    ("\u{2}", ""),
];

/// A side of a topic.
struct Side {
    format: &'static str,
    columns: Vec<Column>,
    spec: FormatSpec,
    context: FormatContext,
}

impl Side {
    fn new(format: &'static str, cols: &str, registry: &Arc<MemoryRegistry>) -> Side {
        let spec = FormatSpec { name: format.to_owned(), ..FormatSpec::default() };
        let context =
            FormatContext { registry: Some(registry.clone()), topic: TOPIC.to_owned(), ..FormatContext::default() };
        Side { format, columns: columns(cols), spec, context }
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        let wanted: Vec<usize> = (0..self.columns.len()).collect();
        let found = format(self.format).unwrap();
        found.decoder_in(Part::Value, &self.columns, &wanted, &self.spec, &self.context).expect("a decoder")
    }

    /// The rows as this side writes them.
    fn encode(&self, arrays: &[ArrayRef], rows: usize) -> (EncodedRows, Vec<RowError>) {
        let (mut out, mut errors) = (EncodedRows::default(), vec![]);
        let found = format(self.format).unwrap();
        let encoder = found.encoder_in(Part::Value, &self.columns, &self.spec, &self.context);
        encoder.expect("an encoder").encode(arrays, rows, None, &mut out, &mut errors);
        (out, errors)
    }

    /// Records that it writes of rows in JSON.
    fn records(&self, rows: &[&str]) -> Vec<Vec<u8>> {
        let json = Side {
            format: "JSON",
            columns: self.columns.clone(),
            spec: FormatSpec::default(),
            context: self.context.clone(),
        };
        let rows: Vec<Option<&[u8]>> = rows.iter().map(|row| Some(row.as_bytes())).collect();
        let mut errors = vec![];
        let arrays = json.decoder().decode(&rows, &mut errors);
        assert_eq!(errors, []);
        let (out, errors) = self.encode(&arrays, rows.len());
        assert_eq!(errors, [], "{} {:?}", self.format, self.columns);
        (0..rows.len()).map(|row| out.get(row).unwrap().to_vec()).collect()
    }
}

/// Read `input` between two good records: they come out as they do without it.
fn read(side: &Side, decoder: &mut dyn Decoder, good: &[u8], input: &[u8]) -> String {
    let mut errors = vec![];
    let arrays = decoder.decode(&[Some(good), Some(input), None, Some(good)], &mut errors);
    assert_eq!(arrays.len(), side.columns.len());
    assert!(errors.iter().all(|e| e.row == 1) && errors.len() <= 1, "{errors:?}");
    for (array, column) in arrays.iter().zip(&side.columns) {
        assert_eq!((array.len(), array.data_type()), (4, &column.ty.to_arrow()));
        assert!(array.is_null(2), "a tombstone is a row of nulls");
        assert!(errors.is_empty() || array.is_null(1), "a bad record is a row of nulls");
        assert_eq!(&array.slice(0, 1), &array.slice(3, 1), "the same record, the same row");
    }
    let Some(error) = errors.pop() else {
        let row: Vec<ArrayRef> = arrays.iter().map(|a| a.slice(1, 1)).collect();
        return again(side, decoder, &row);
    };
    kind_of(&error.message)
}

/// What was read can be written, and is read again as it was.
fn again(side: &Side, decoder: &mut dyn Decoder, row: &[ArrayRef]) -> String {
    // A slice keeps the batch that it is of; what is written comes from an array of its own.
    let row: Vec<ArrayRef> = row.iter().map(|a| concat(&[a.as_ref()]).unwrap()).collect();
    let (out, errors) = side.encode(&row, 1);
    if let Some(error) = errors.first() {
        return format!("unwritable: {}", kind_of(&error.message));
    }
    let Some(written) = out.get(0) else { return "null".to_owned() };
    let mut errors = vec![];
    let back = decoder.decode(&[Some(written)], &mut errors);
    assert_eq!(errors, [], "{} cannot read what it wrote: {:?}", side.format, String::from_utf8_lossy(written));
    let nulls = |arrays: &[ArrayRef]| arrays.iter().map(|a| if a.is_null(0) { '-' } else { 'x' }).collect::<String>();
    let exact = matches!(side.format, "AVRO" | "JSON_SR" | "JSON");
    assert!(!exact || back == row, "{} reads {back:?} where it wrote {row:?}", side.format);
    format!("ok {}", nulls(&row))
}

/// A room for one format: records of `cols` columns.
fn records(name: &'static str, format: &'static str, cols: &str, rows: &[&str], inputs: u64) {
    let side = Side::new(format, cols, &Arc::default());
    let seeds = side.records(rows);
    let good = seeds[0].clone();
    let mut decoder = side.decoder();
    room(name, seeds, inputs).run(|input| read(&side, decoder.as_mut(), &good, input));
}

fn room(name: &'static str, seeds: Vec<Vec<u8>>, inputs: u64) -> Room<'static> {
    Room {
        name,
        corpus: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name),
        seeds,
        damage: Damage { words: WORDS, nests: NESTS, bytes_max: 20_000 },
        inputs,
    }
}

#[test]
fn json_records() {
    records("json_flat", "JSON", FLAT, FLAT_ROWS, 6_000);
    records("json_nested", "JSON", NESTED, NESTED_ROWS, 6_000);
    records("json_deep", "JSON", DEEP, DEEP_ROWS, 2_000);
}

#[test]
fn delimited_records() {
    records("delimited", "DELIMITED", FLAT, FLAT_ROWS, 6_000);
}

#[test]
fn kafka_records() {
    for (name, cols, row) in [
        ("kafka_int", "V INT", r#"{"V":1}"#),
        ("kafka_bigint", "V BIGINT", r#"{"V":1}"#),
        ("kafka_double", "V DOUBLE", r#"{"V":1}"#),
        ("kafka_string", "V STRING", r#"{"V":"é"}"#),
        ("kafka_bytes", "V BYTES", r#"{"V":"AAAA"}"#),
    ] {
        records(name, "KAFKA", cols, &[row], 500);
    }
}

#[test]
fn avro_records() {
    records("avro_flat", "AVRO", FLAT, FLAT_ROWS, 6_000);
    records("avro_nested", "AVRO", NESTED, NESTED_ROWS, 6_000);
    records("avro_deep", "AVRO", DEEP, DEEP_ROWS, 2_000);
}

#[test]
fn json_sr_records() {
    records("json_sr_nested", "JSON_SR", NESTED, NESTED_ROWS, 3_000);
}

#[test]
fn protobuf_records() {
    records("protobuf_flat", "PROTOBUF", FLAT, FLAT_ROWS, 6_000);
    records("protobuf_nested", "PROTOBUF", NESTED, NESTED_ROWS, 6_000);
    records("protobuf_nosr", "PROTOBUF_NOSR", NESTED, NESTED_ROWS, 4_000);
}

const AVRO_SCHEMAS: &[&str] = &[
    "\"int\"",
    r#"{"type":"record","name":"r","namespace":"a.b","fields":[{"name":"c1","type":{"type":"enum","name":"Suit","symbols":["SPADES","X"],"default":"X"}},{"name":"c2","type":["null",{"type":"array","items":"string"}],"default":null},{"name":"c3","type":{"type":"map","values":"long"}},{"name":"c4","type":{"type":"record","name":"s","fields":[{"name":"f1","type":"int","default":1}]}},{"name":"c9","type":"s"}]}"#,
    r#"{"type":"record","name":"r","fields":[{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}},{"name":"t","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"u","type":["int","string","null"]},{"name":"f","type":{"type":"fixed","name":"f","size":6,"logicalType":"decimal","precision":10,"scale":3}}]}"#,
    r#"{"type":"record","name":"list","aliases":["l"],"fields":[{"name":"v","type":"double","default":"NaN"},{"name":"next","type":["null","list"]}]}"#,
    r#"{"type":"array","items":{"type":"record","name":"E","fields":[{"name":"key","type":"string"},{"name":"value","type":"imported"}],"connect.internal.type":"MapEntry"}}"#,
];

const JSON_SCHEMAS: &[&str] = &[
    r##"{"type":"object","properties":{"c1":{"type":"integer"},"c2":{"$ref":"#/$defs/d"},"c3":{"type":["null","array"],"items":{"enum":["a"]}},"c4":{"type":"object","additionalProperties":{"type":"number"}}},"$defs":{"d":{"type":"number"}},"required":["c1"]}"##,
    r#"{"type":"object","properties":{"FOO":{"connect.index":0,"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int32"}]},"D":{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.parameters":{"scale":"2","connect.decimal.precision":"4"}}}}"#,
    r##"{"$id":"x","definitions":{"n":{"type":"object","properties":{"next":{"$ref":"#/definitions/n"},"v":{"anyOf":[{"minimum":1},{"maxLength":3,"pattern":"a*"}]}}}},"allOf":[{"$ref":"#/definitions/n"},{"not":{"const":1}}],"if":{"type":"string"},"then":{"minLength":2},"else":false,"dependencies":{"a":["b"]},"patternProperties":{"^x":{"type":"string"}},"items":[{"type":"boolean"},{}],"additionalItems":false}"##,
    "true",
];

const PROTO_SCHEMAS: &[&str] = &[
    "syntax = \"proto3\"; package p; option java_package = \"x\"; // a comment\n message A { /* and */ enum Suit { option \
     allow_alias = true; SPADES = 0; HEARTS = 1 [deprecated = true]; } reserved 9 to 11; Suit c1 = 1; oneof o { float c2 = \
     2; .p.A.B c3 = 3; } message B { uint32 x = 1; } repeated sint64 c4 = 4 [packed = false]; map<string, B> c5 = 5; A c6 = \
     6; } service S { rpc f (A) returns (stream A) {} } message C { fixed64 y = 1; }",
    "syntax = \"proto3\"; import \"imported.proto\"; import \"google/protobuf/timestamp.proto\"; message M { imported.I i = 1; \
     optional int32 o = 2; google.protobuf.Timestamp t = 3; bytes b = 15; bool c = 16; sfixed32 d = 536870911; }",
    "syntax = \"proto2\"; message Old { required string a = 1; optional int32 b = 2 [default = 7]; extensions 100 to max; \
     repeated group G = 3 { optional int32 x = 1; } }",
];

/// A registry with what the schemas above import.
fn imports() -> Arc<MemoryRegistry> {
    let registry = MemoryRegistry::default();
    let avro = r#"{"type":"record","name":"imported","fields":[{"name":"x","type":"int"}]}"#;
    let proto = "syntax = \"proto3\"; package imported; message I { int32 x = 1; }";
    let json = r#"{"type":"integer"}"#;
    for (subject, ty, text) in [
        ("avro", SchemaType::Avro, avro),
        ("json", SchemaType::Json, json),
        ("imported.proto", SchemaType::Protobuf, proto),
    ] {
        registry.register(subject, &SchemaText { ty, text: text.to_owned(), references: vec![] }).unwrap();
    }
    Arc::new(registry)
}

fn schema(ty: SchemaType, text: &str) -> SchemaText {
    let subject = match ty {
        SchemaType::Avro => "avro",
        SchemaType::Json => "json",
        SchemaType::Protobuf => "imported.proto",
    };
    let reference = SchemaReference { name: subject.to_owned(), subject: subject.to_owned(), version: 1 };
    SchemaText { ty, text: text.to_owned(), references: vec![reference] }
}

/// Payloads that fit some schema.
const PAYLOADS: &[&[u8]] = &[
    b"",
    b"\0",
    b"\x02\x02a\0",
    b"{\"c1\":1,\"FOO\":null}",
    b"\x08\x01\x12\x02\x08\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
];

/// Do with a schema all that is done with schemas.
fn use_schema(name: &'static str, ty: SchemaType, text: &str, other: &SchemaText) -> String {
    let registry = imports();
    let schema = schema(ty, text);
    let normalized = match canonical(&schema, Some(&*registry), true) {
        Ok(normalized) => normalized,
        Err(why) => return kind_of(&why),
    };
    let plain = canonical(&schema, Some(&*registry), false).expect("normalized or not, it is a schema");
    for kept in [&normalized, &plain] {
        assert_eq!(
            canonical(kept, Some(&*registry), kept == &normalized).as_ref(),
            Ok(kept),
            "a second time changes nothing"
        );
    }
    let own = incompatibilities(&plain, &plain, Some(&*registry)).expect("both are schemas");
    let others =
        [incompatibilities(&plain, other, Some(&*registry)), incompatibilities(other, &plain, Some(&*registry))];
    let mut answer = format!(
        "{} {}",
        own.len().min(1),
        others.iter().flatten().flatten().map(|why| kind_of(why)).next().unwrap_or_default()
    );
    registry.insert("T-value", 7, &plain).unwrap();
    registry.insert("T-key", 7, &plain).unwrap();
    let context = FormatContext { registry: Some(registry), topic: TOPIC.to_owned(), ..FormatContext::default() };
    for (part, id) in [(Part::Value, None), (Part::Value, Some(7)), (Part::Key, None)] {
        let spec = FormatSpec { name: name.to_owned(), schema_id: id, ..FormatSpec::default() };
        let found = format(name).unwrap();
        let columns = match found.infer(part, &spec, &context) {
            Ok(columns) => columns,
            Err(error) => {
                answer.push_str(&kind_of(error.message()));
                continue;
            }
        };
        answer.push_str(&kind_of(&Schema::new(columns.clone()).to_string()).chars().take(40).collect::<String>());
        let wanted: Vec<usize> = (0..columns.len()).collect();
        let Ok(mut decoder) = found.decoder_in(part, &columns, &wanted, &spec, &context) else { continue };
        let records: Vec<Vec<u8>> = PAYLOADS.iter().map(|p| [b"\0\0\0\0\x07", *p].concat()).collect();
        let records: Vec<Option<&[u8]>> = records.iter().map(|r| Some(r.as_slice())).collect();
        let mut errors = vec![];
        let arrays = decoder.decode(&records, &mut errors);
        let Ok(mut encoder) = found.encoder_in(part, &columns, &spec, &context) else { continue };
        let (mut out, mut errors) = (EncodedRows::default(), vec![]);
        encoder.encode(&arrays, records.len(), None, &mut out, &mut errors);
        assert_eq!(out.len(), records.len());
    }
    answer
}

fn schemas(name: &'static str, format: &'static str, ty: SchemaType, seeds: &[&str]) {
    let other = schema(ty, seeds[0]);
    let room = room(name, seeds.iter().map(|text| text.as_bytes().to_vec()).collect(), 4_000);
    room.run(|input| use_schema(format, ty, &String::from_utf8_lossy(input), &other));
}

#[test]
fn avro_schemas() {
    schemas("avro_schemas", "AVRO", SchemaType::Avro, AVRO_SCHEMAS);
}

#[test]
fn json_schemas() {
    schemas("json_schemas", "JSON_SR", SchemaType::Json, JSON_SCHEMAS);
}

#[test]
fn protobuf_schemas() {
    schemas("protobuf_schemas", "PROTOBUF", SchemaType::Protobuf, PROTO_SCHEMAS);
}
