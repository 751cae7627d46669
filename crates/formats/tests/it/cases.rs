//! What single records become, format by format, and what is refused with which words.

use crate::support::{columns, encode};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use formats::{FormatSpec, Part, RowError, format};
use types::{Column, SqlType};

/// Decode one record into columns given as SQL types by name; `Ok` has them as text, `Err` the row's error.
fn decode(name: &str, part: Part, spec: &FormatSpec, cols: &[Column], record: &[u8]) -> Result<String, String> {
    let wanted: Vec<usize> = (0..cols.len()).collect();
    let mut decoder = format(name).and_then(|f| f.decoder(part, cols, &wanted, spec)).expect("a decoder");
    let mut errors: Vec<RowError> = Vec::new();
    let arrays = decoder.decode(&[Some(record)], &mut errors);
    for (array, column) in arrays.iter().zip(cols) {
        assert_eq!((array.len(), array.data_type()), (1, &column.ty.to_arrow()));
    }
    let options = FormatOptions::new().with_null("NULL");
    let text = |a: &arrow::array::ArrayRef| {
        ArrayFormatter::try_new(a.as_ref(), &options).expect("printable").value(0).to_string()
    };
    match errors.pop() {
        None => Ok(arrays.iter().map(text).collect::<Vec<_>>().join(" | ")),
        Some(error) => {
            assert!(arrays.iter().all(|a| a.is_null(0)), "a bad record is a row of nulls");
            Err(error.message)
        }
    }
}

/// A JSON value record against columns.
fn check(cols: &str, record: &str, expect: Result<&str, &str>) {
    let found = decode("JSON", Part::Value, &FormatSpec::default(), &columns(cols), record.as_bytes());
    assert_eq!(found.as_ref().map(String::as_str).map_err(String::as_str), expect, "{cols} of {record}");
}

/// A bare JSON value against one column.
fn check_bare(ty: &str, record: &str, expect: Result<&str, &str>) {
    let spec = FormatSpec { wrap_single: Some(false), ..FormatSpec::default() };
    let found = decode("JSON", Part::Value, &spec, &columns(&format!("V {ty}")), record.as_bytes());
    assert_eq!(found.as_ref().map(String::as_str).map_err(String::as_str), expect, "{ty} of {record}");
}

/// A line against columns, with a delimiter.
fn check_line(delimiter: &str, cols: &str, record: &str, expect: Result<&str, &str>) {
    let spec = FormatSpec { delimiter: Some(delimiter.to_owned()), ..FormatSpec::default() };
    let found = decode("DELIMITED", Part::Value, &spec, &columns(cols), record.as_bytes());
    assert_eq!(found.as_ref().map(String::as_str).map_err(String::as_str), expect, "{cols} of {record}");
}

/// Decode JSON, encode as `name`.
fn check_out(name: &str, part: Part, spec: &FormatSpec, cols: &str, json: &str, expect: Option<&str>) {
    let cols = columns(cols);
    let mut errors = Vec::new();
    let wanted: Vec<usize> = (0..cols.len()).collect();
    let json_spec = FormatSpec::default();
    let mut decoder =
        format("JSON").and_then(|f| f.decoder(Part::Value, &cols, &wanted, &json_spec)).expect("a decoder");
    let arrays = decoder.decode(&[Some(json.as_bytes())], &mut errors);
    let out = encode(name, part, &cols, spec, &arrays, 1);
    assert_eq!(errors, []);
    assert_eq!(out.get(0).map(String::from_utf8_lossy).as_deref(), expect, "{json} as {name}");
}

#[test]
fn json_fields_find_their_columns() {
    check("A INT, B STRING", r#"{"A":1,"B":"x"}"#, Ok("1 | x"));
    check("A INT, B STRING", r#" { "b" : "x" , "other" : [1,{"a":2}], "a" : 1 } "#, Ok("1 | x"));
    check("A INT", "{}", Ok("NULL"));
    check("A INT", "null", Ok("NULL"));
    check("A INT", r#"{"A":1,"A":2}"#, Ok("2"));
    check("A INT", r#"{"A":1,"a":2}"#, Ok("1"));
    check("A INT", r#"{"a":2,"A":1}"#, Ok("1"));
    check("A INT", r#"{"a":2,"A":null}"#, Ok("NULL"));
    check("A INT, a INT", r#"{"a":2}"#, Ok("2 | 2"));
    check("A INT, a INT", r#"{"A":1,"a":2}"#, Ok("1 | 2"));
    check("with.dot INT", r#"{"with.dot":1}"#, Ok("1"));
    check("É INT", r#"{"\u00e9":1}"#, Ok("1"));
    check("S STRUCT<F0 INT, F1 STRING>", r#"{"s":{"f1":"x","f0":1}}"#, Ok("{F0: 1, F1: x}"));
}

#[test]
fn json_coercions() {
    check("A BIGINT", r#"{"A":-9223372036854775808}"#, Ok("-9223372036854775808"));
    check("A BIGINT", r#"{"A":"12"}"#, Ok("12"));
    check("A INT", r#"{"A":-1.7}"#, Ok("-1"));
    check("A INT", r#"{"A":1.5e3}"#, Ok("1500"));
    check("A DOUBLE", r#"{"A":10}"#, Ok("10.0"));
    check("A DOUBLE", r#"{"A":"1.5"}"#, Ok("1.5"));
    check("A DOUBLE", r#"{"A":"NaN"}"#, Ok("NaN"));
    check("A DECIMAL(6,4)", r#"{"A":10}"#, Ok("10.0000"));
    check("A DECIMAL(6,4)", r#"{"A":"0.0001"}"#, Ok("0.0001"));
    check("A DECIMAL(21,19)", r#"{"A":10.1234512345123451234}"#, Ok("10.1234512345123451234"));
    check("A BOOLEAN", r#"{"A":true}"#, Ok("true"));
    check("A BYTES", r#"{"A":"YWJj"}"#, Ok("616263"));
    check(
        "A DATE, B TIME, C TIMESTAMP",
        r#"{"A":2,"B":"1000","C":1}"#,
        Ok("1970-01-03 | 00:00:01 | 1970-01-01T00:00:00.001"),
    );
    for (json, text) in [
        ("1", "1"),
        ("-0", "0"),
        ("1.10", "1.10"),
        ("1e3", "1E+3"),
        ("true", "true"),
        (r#"{"b":1.0, "a":[null,"x\n"]}"#, r#"{"a":[null,"x\n"],"b":1.0}"#),
        (r#"[1, "x", null, {"a" : 1}, [true]]"#, r#"[1, x, null, {"a":1}, [true]]"#),
        (r#""\u00e9\ud83d\ude00\/\b\f\t""#, "é😀/\u{8}\u{c}\t"),
    ] {
        check("A STRING", &format!("{{\"A\":{json}}}"), Ok(text));
    }
    check("A ARRAY<STRING>", r#"{"A":[1,null,"x"]}"#, Ok("[1, NULL, x]"));
    check("A MAP<STRING, INT>", r#"{"A":{"x":1,"y":null,"x":2}}"#, Ok("{y: NULL, x: 2}"));
    check(
        "A ARRAY<STRUCT<V ARRAY<INT>>>",
        r#"{"A":[{},{"v":[]},{"v":[1]},null]}"#,
        Ok("[{V: NULL}, {V: []}, {V: [1]}, NULL]"),
    );
    check_bare("BIGINT", "10827272222", Ok("10827272222"));
    check_bare("STRING", r#""hello""#, Ok("hello"));
    check_bare("MAP<STRING, DOUBLE>", r#"{"a":45.67}"#, Ok("{a: 45.67}"));
    check_bare("STRUCT<F1 STRING>", r#"{"f1":"bar"}"#, Ok("{F1: bar}"));
}

#[test]
fn json_errors_name_the_culprit() {
    for (cols, record, expect) in [
        ("A INT", r#"{"A":"x"}"#, r#"column `A`: expected INTEGER, found string "x" (byte 5)"#),
        ("A INT", r#"{"A":2147483648}"#, "column `A`: expected INTEGER, found number 2147483648 (byte 5)"),
        ("A INT", r#"{"A":true}"#, "column `A`: expected INTEGER, found true (byte 5)"),
        ("A BOOLEAN", r#"{"A":"true"}"#, r#"column `A`: expected BOOLEAN, found string "true" (byte 5)"#),
        ("A TIME", r#"{"A":86400000}"#, "column `A`: expected TIME (ms of the day), found number 86400000 (byte 5)"),
        (
            "A ARRAY<STRUCT<F INT>>",
            r#"{"A":[{},{"f":[]}]}"#,
            "column `A`[1].F: expected INTEGER, found array [] (byte 14)",
        ),
        ("A MAP<STRING, INT>", r#"{"A":{"k":{}}}"#, "column `A`.k: expected INTEGER, found object {} (byte 10)"),
        ("A DOUBLE", r#"{"A":1e999}"#, "column `A`: expected DOUBLE, found number 1e999 (byte 5)"),
        (
            "A DECIMAL(3,1)",
            r#"{"A":1.25}"#,
            "column `A`: expected DECIMAL(3, 1) (the value has too many digits after the point), \
             found number 1.25 (byte 5)",
        ),
        ("A BYTES", r#"{"A":"*"}"#, r#"column `A`: expected BYTES (base64 in a string), found string "*" (byte 5)"#),
        ("A INT", "", "not JSON: expected a value, found the end (byte 0)"),
        ("A INT", "[1]", "expected an object, found array [1] (byte 0)"),
        ("A INT", r#"{"A":1"#, "not JSON: expected ',' or '}', found the end (byte 6)"),
        ("A INT", r#"{"A":01}"#, "column `A`: not JSON: expected ',' or the end after a zero, found '1' (byte 6)"),
        ("A INT", r#"{"A":1} x"#, "not JSON: expected the end, found 'x' (byte 8)"),
        ("A INT", r#"{"A":1,}"#, "not JSON: expected a field's name in quotes, found '}' (byte 7)"),
        ("A INT", r#"{"B":[1,}"#, "not JSON: expected a value, found '}' (byte 8)"),
        ("A INT", r#"{"B":nul}"#, "not JSON: expected a value, found 'n' (byte 5)"),
        ("A STRING", r#"{"A":"\ud800"}"#, "column `A`: not JSON: half of a surrogate pair stands alone (byte 6)"),
        (
            "A STRING",
            "{\"A\":\"\n\"}",
            "column `A`: not JSON: a control character in a string must be escaped (byte 6)",
        ),
    ] {
        check(cols, record, Err(expect));
    }
    let deep = format!("{{\"B\":{}", "[".repeat(100_000));
    check("A INT", &deep, Err("more than 127 levels of nesting (byte 132)"));
    let spec = FormatSpec::default();
    let registry = decode("JSON", Part::Value, &spec, &columns("A INT"), b"\0\0\0\0\x01{\"A\":1}").expect_err("magic");
    assert!(registry.contains("JSON_SR"), "{registry}");
    let utf8 = decode("JSON", Part::Value, &spec, &columns("A INT"), b"{\"A\":\"\xff\"}").expect_err("not UTF-8");
    assert_eq!(utf8, "not JSON: not UTF-8 (byte 6)");
}

#[test]
fn json_keys() {
    let spec = FormatSpec::default();
    let one = [Column::key("K", SqlType::Double)];
    assert_eq!(decode("JSON", Part::Key, &spec, &one, b"654.321"), Ok("654.321".to_owned()));
    let two = [Column::key("K", SqlType::Int), Column::key("K2", SqlType::Int)];
    assert_eq!(decode("JSON", Part::Key, &spec, &two, br#"{"K":null,"K2":2}"#), Ok("NULL | 2".to_owned()));
    check_out("JSON", Part::Key, &spec, "K INT, K2 INT", r#"{"K":null,"K2":2}"#, Some(r#"{"K":null,"K2":2}"#));
    check_out("JSON", Part::Key, &spec, "K INT, K2 INT", "{}", None);
    check_out("JSON", Part::Key, &spec, "K ARRAY<DOUBLE>", r#"{"K":[10.1]}"#, Some("[10.1]"));
}

#[test]
fn json_out() {
    let (wrapped, bare) = (FormatSpec::default(), FormatSpec { wrap_single: Some(false), ..FormatSpec::default() });
    let value = |spec, cols, json, expect| check_out("JSON", Part::Value, spec, cols, json, expect);
    value(&wrapped, "V INT", r#"{"V":1}"#, Some(r#"{"V":1}"#));
    value(&wrapped, "V INT", "{}", Some(r#"{"V":null}"#));
    value(&bare, "V INT", r#"{"V":1}"#, Some("1"));
    value(&bare, "V INT", "{}", None);
    value(&bare, "V STRUCT<F0 INT>", r#"{"V":{}}"#, Some(r#"{"F0":null}"#));
    value(&wrapped, "A DOUBLE, B DOUBLE", r#"{"A":1e10,"B":"NaN"}"#, Some(r#"{"A":1.0E10,"B":"NaN"}"#));
    value(&wrapped, "A DECIMAL(6,4), B BYTES", r#"{"A":-0.1,"B":"YWI="}"#, Some(r#"{"A":-0.1000,"B":"YWI="}"#));
    let nested = r#"{"M":{"k\"":[{"F":null},null]},"D":1,"T":2,"S":3,"B":true,"X":"a\n\u0001é"}"#;
    let types = "M MAP<STRING, ARRAY<STRUCT<F INT>>>, D DATE, T TIME, S TIMESTAMP, B BOOLEAN, X STRING";
    value(&wrapped, types, nested, Some(nested));
}

#[test]
fn delimited_lines() {
    check_line(",", "A BIGINT, B STRING, C INT", "0,zero,0", Ok("0 | zero | 0"));
    check_line("SPACE", "A BIGINT, B STRING, C INT", "0 zero 0", Ok("0 | zero | 0"));
    check_line("TAB", "A BIGINT, B STRING", "0\tzero", Ok("0 | zero"));
    check_line("☺", "A BIGINT, B STRING", "0☺zero", Ok("0 | zero"));
    check_line(",", "A INT", "\"22\"", Ok("22"));
    check_line(",", "A INT, B INT", ",", Ok("NULL | NULL"));
    check_line(",", "A INT, B STRING", "\n1,x\n2,y", Ok("1 | x"));
    check_line(",", "A STRING, B STRING", " a b ,\"c, \"\"d\"\"\"  ", Ok(" a b  | c, \"d\""));
    check_line(",", "A STRING, B STRING", "it\"s,\"\"", Ok("it\"s | NULL"));
    check_line(
        ",",
        "A BOOLEAN, B DOUBLE, C BYTES, D DECIMAL(6,4)",
        "TRUE,1,YWI=,.12",
        Ok("true | 1.0 | 6162 | 0.1200"),
    );
    check_line(
        ",",
        "A DATE, B TIME, C TIMESTAMP",
        "10,10,10",
        Ok("1970-01-11 | 00:00:00.010 | 1970-01-01T00:00:00.010"),
    );
    check_line(",", "A INT, B INT", "1", Err("expected 2 values, found 1"));
    check_line(",", "A INT, B INT", "1,2,3", Err("expected 2 values, found 3"));
    check_line(",", "A INT, B INT", "", Err("expected 2 values, found none"));
    check_line(",", "A INT, B INT", "1, 2", Err("column `B`: expected INTEGER, found \" 2\" (byte 2)"));
    check_line(",", "A STRING", "\"x", Err("a quoted value does not end (byte 0)"));
    check_line(",", "A STRING", "\"x\"y", Err("expected a delimiter after the quoted value, found 'y' (byte 3)"));
}

#[test]
fn delimited_out() {
    let dollar = FormatSpec { delimiter: Some("$".to_owned()), ..FormatSpec::default() };
    let line = |spec, cols, json, expect| check_out("DELIMITED", Part::Value, spec, cols, json, Some(expect));
    let comma = FormatSpec::default();
    line(&dollar, "A INT, B STRING, C INT", r#"{"A":0,"B":"a$b","C":-1}"#, "0$\"a$b\"$-1");
    line(&comma, "A INT, B INT", r#"{"A":-5,"B":-5}"#, "\"-5\",-5");
    line(&comma, "A DECIMAL(20,16)", r#"{"A":0.12}"#, "0.1200000000000000");
    line(&comma, "A STRING, B BYTES, C STRING", r##"{"A":"!","B":"IQ==","C":"#"}"##, "\"!\",IQ==,\"#\"");
    line(&comma, "A STRING, B STRING", r#"{"A":"\" x","B":"trailing "}"#, "\"\"\" x\",\"trailing \"");
    line(&comma, "A STRING, B STRING", r#"{"A":"","B":""}"#, "\"\",");
    line(&comma, "A STRING, B STRING", "{}", ",");
    check_out("DELIMITED", Part::Key, &comma, "A INT", "{}", None);
}

#[test]
fn refusals() {
    let plain = FormatSpec::default();
    let refused = |name: &str, part, cols: &str, spec: &FormatSpec| {
        let error = format(name).expect("a format").check(part, &columns(cols), spec).expect_err("refused");
        error.message().to_owned()
    };
    let array = refused("DELIMITED", Part::Key, "K ARRAY<DOUBLE>", &plain);
    assert_eq!(array, "The 'DELIMITED' format does not support type 'ARRAY', column: `K`");
    let map = refused("KAFKA", Part::Key, "K STRUCT<F MAP<STRING, INT>>", &plain);
    assert!(map.starts_with("Map keys, including types that contain maps, are not supported"), "{map}");
    assert!(map.ends_with("Key column name: `K`. Column type: STRUCT<`F` MAP<STRING, INTEGER>>."), "{map}");
    let map = refused("JSON", Part::Value, "FOO ARRAY<MAP<INT, DOUBLE>>", &plain);
    assert!(map.starts_with("JSON only supports MAP types with STRING keys"), "{map}");
    let wrap = |wrap| FormatSpec { wrap_single: Some(wrap), ..FormatSpec::default() };
    let wrapped = refused("DELIMITED", Part::Value, "V INT", &wrap(true));
    assert_eq!(wrapped, "Format 'DELIMITED' does not support 'WRAP_SINGLE_VALUE' set to 'true'.");
    let two = refused("JSON", Part::Value, "A INT, B INT", &wrap(false));
    assert!(two.starts_with("'WRAP_SINGLE_VALUE' is only valid for single-field value schemas"), "{two}");
    let delimiter = |text: &str| FormatSpec { delimiter: Some(text.to_owned()), ..FormatSpec::default() };
    for blank in ["", " "] {
        let empty = refused("DELIMITED", Part::Value, "A INT", &delimiter(blank));
        assert!(empty.starts_with("VALUE_DELIMITER is invalid: Delimiter cannot be empty"), "{empty}");
    }
    let long = refused("DELIMITED", Part::Key, "A INT", &delimiter("||"));
    assert_eq!(long, "KEY_DELIMITER is invalid: '||' is not a single character, TAB or SPACE");
    let foreign = refused("JSON", Part::Value, "A INT", &delimiter("|"));
    assert_eq!(foreign, "JSON does not support VALUE_DELIMITER: only DELIMITED has a delimiter");
    let id = refused("KAFKA", Part::Key, "A INT", &FormatSpec { schema_id: Some(1), ..FormatSpec::default() });
    assert!(id.starts_with("KEY_FORMAT should support schema inference when KEY_SCHEMA_ID is provided"), "{id}");
}
