//! Every type out (text and binary) and in (text and binary).

use crate::common::{Server, shown, simple};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

/// What the wire holds.
#[derive(Debug, PartialEq, Clone)]
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    tokio_postgres::types::to_sql_checked!();
}

const COLUMNS: [(&str, &str, &str); 21] = [
    ("boolean", "bool", "t"),
    ("int", "int4", "-7"),
    ("bigint", "int8", "1099511627776"),
    ("double", "float8", "0.1"),
    ("decimal", "numeric", "-123.45"),
    ("string", "text", "grüß"),
    ("bytes", "bytea", "\\x00ff"),
    ("date", "date", "2020-02-29"),
    ("time", "time", "12:34:56.789"),
    ("timestamp", "timestamp", "2020-02-29 00:00:00.25"),
    ("array", "_text", "{\"a b\",NULL,\"NULL\"}"),
    ("nested", "json", "[[1],[]]"),
    ("map", "json", "{\"k\\\"\":1}"),
    ("struct", "json", "{\"B\":\"aGk=\",\"T\":\"1970-01-01T00:00:01.5\"}"),
    ("uint64", "numeric", "18446744073709551615"),
    ("float32", "float4", "1.5"),
    ("view", "text", "view"),
    ("dictionary", "text", "dict"),
    ("interval", "interval", "1 year 2 mons 3 days 00:00:04.5"),
    ("zoned", "timestamptz", "1970-01-01 00:00:00.000001+00"),
    ("null", "text", "NULL"),
];

#[tokio::test]
async fn text_of_every_type() {
    let server = Server::start().await;
    let client = server.client().await;
    let want = COLUMNS.map(|c| c.2).join("|");
    let nulls = COLUMNS.map(|_| "NULL").join("|");
    assert_eq!(simple(&client, "SELECT * FROM types").await, format!("{want}\n{nulls}\n[2]"));
}

#[tokio::test]
async fn binary_of_every_type() {
    let server = Server::start().await;
    let client = server.client().await;
    let rows = client.query("SELECT * FROM types", &[]).await.unwrap();
    let row = &rows[0];
    for (i, (name, ty, _)) in COLUMNS.iter().enumerate() {
        assert_eq!((row.columns()[i].name(), row.columns()[i].type_().name()), (*name, *ty));
        assert_eq!(rows[1].get::<_, Option<Raw>>(i), None, "{name}");
    }
    assert!(row.get::<_, bool>("boolean"));
    assert_eq!(row.get::<_, i32>("int"), -7);
    assert_eq!(row.get::<_, i64>("bigint"), 1 << 40);
    assert_eq!(row.get::<_, f64>("double"), 0.1);
    assert_eq!(row.get::<_, f32>("float32"), 1.5);
    assert_eq!(row.get::<_, &str>("string"), "grüß");
    assert_eq!(row.get::<_, &str>("dictionary"), "dict");
    assert_eq!(row.get::<_, &[u8]>("bytes"), b"\x00\xff");
    assert_eq!(row.get::<_, Vec<Option<String>>>("array"), [Some("a b".into()), None, Some("NULL".into())]);
    let raw = |name: &str| row.get::<_, Raw>(name).0;
    // 2 digits to the base 10,000, weight 0, negative, scale 2: 123 and 4500.
    assert_eq!(raw("decimal"), [0, 2, 0, 0, 0x40, 0, 0, 2, 0, 123, 0x11, 0x94]);
    assert_eq!(raw("date"), (18_321_i32 - 10_957).to_be_bytes());
    assert_eq!(raw("time"), 45_296_789_000_i64.to_be_bytes());
    assert_eq!(raw("timestamp"), (1_582_934_400_250_000_i64 - 946_684_800_000_000).to_be_bytes());
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_micros(1);
    assert_eq!(row.get::<_, std::time::SystemTime>("zoned"), at);
    assert_eq!(
        raw("interval"),
        [4_500_000_i64.to_be_bytes().as_slice(), &3_i32.to_be_bytes(), &14_i32.to_be_bytes()].concat()
    );
    assert_eq!(raw("nested"), b"[[1],[]]");
}

#[tokio::test]
async fn parameters_in_binary() {
    let server = Server::start().await;
    let client = server.client().await;
    async fn check(client: &tokio_postgres::Client, source: &str, value: &(dyn ToSql + Sync), want: &[u8]) {
        let rows = client.query(&format!("SELECT x FROM {source} WHERE x = $1"), &[value]).await.unwrap();
        assert_eq!(rows[0].get::<_, Option<Raw>>(0), Some(Raw(want.to_vec())), "{source}");
    }
    check(&client, "echo_int", &5_i32, &[0, 0, 0, 5]).await;
    check(&client, "echo_bigint", &5_i64, &[0, 0, 0, 0, 0, 0, 0, 5]).await;
    check(&client, "echo_double", &0.5_f64, &0.5_f64.to_be_bytes()).await;
    check(&client, "echo_string", &"ü", "ü".as_bytes()).await;
    check(&client, "echo_bytes", &[0_u8, 1].as_slice(), &[0, 1]).await;
    check(&client, "echo_boolean", &true, &[1]).await;
    let numeric = Raw(vec![0, 2, 0, 0, 0, 0, 0, 2, 0, 123, 0x11, 0x94]);
    check(&client, "echo_decimal", &numeric, &[0, 2, 0, 0, 0, 0, 0, 4, 0, 123, 0x11, 0x94]).await;
    check(&client, "echo_date", &Raw(vec![0, 0, 0, 1]), &[0, 0, 0, 1]).await;
    check(&client, "echo_time", &Raw(5000_i64.to_be_bytes().to_vec()), &5000_i64.to_be_bytes()).await;
    check(&client, "echo_timestamp", &Raw(5000_i64.to_be_bytes().to_vec()), &5000_i64.to_be_bytes()).await;
    check(
        &client,
        "echo_ints",
        &vec![Some(1_i32), None],
        &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1, 255, 255, 255, 255],
    )
    .await;
    let json = br#"{"a":1,"B":{"k":0.5}}"#;
    check(&client, "echo_struct", &Raw(json.to_vec()), br#"{"A":1,"B":{"k":0.5}}"#).await;
    let rows = client.query("SELECT x FROM echo_int WHERE x = $1", &[&None::<i32>]).await.unwrap();
    assert_eq!(rows[0].get::<_, Option<i32>>(0), None);
}

#[tokio::test]
async fn parameters_of_the_clients_type() {
    let server = Server::start().await;
    let client = server.client().await;
    let statement = client.prepare_typed("SELECT x FROM echo_bigint WHERE x = $1", &[Type::INT4]).await.unwrap();
    assert_eq!(statement.params(), [Type::INT4]);
    assert_eq!(client.query(&statement, &[&7_i32]).await.unwrap()[0].get::<_, i64>(0), 7);
    let statement = client.prepare_typed("SELECT x FROM echo_timestamp WHERE x = $1", &[Type::TEXT]).await.unwrap();
    let rows = client.query(&statement, &[&"2000-01-01 00:00:00.005"]).await.unwrap();
    assert_eq!(rows[0].get::<_, Raw>(0).0, 5000_i64.to_be_bytes());
    let error = client.query(&statement, &[&"yesterday"]).await.unwrap_err();
    assert_eq!(shown(&error), "22P02: parameter $1: invalid input syntax for type TIMESTAMP: \"yesterday\"");
}

#[tokio::test]
async fn statements_are_described() {
    let server = Server::start().await;
    let client = server.client().await;
    let statement = client.prepare("SELECT x FROM echo_decimal WHERE x = $1").await.unwrap();
    assert_eq!(statement.params(), [Type::NUMERIC]);
    assert_eq!((statement.columns()[0].name(), statement.columns()[0].type_()), ("X", &Type::NUMERIC));
    let statement = client.prepare("SHOW search_path").await.unwrap();
    assert_eq!(statement.columns()[0].name(), "search_path");
    let statement = client.prepare("INSERT INTO t VALUES (1)").await.unwrap();
    assert!(statement.columns().is_empty());
}
