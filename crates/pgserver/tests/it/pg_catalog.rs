//! What tools and drivers ask about the server; with psql itself where it is installed.

use crate::common::{Server, simple};
use std::process::{Command, Stdio};

async fn check(text: &str, want: &str) {
    let server = Server::start().await;
    let client = server.client().await;
    assert_eq!(simple(&client, text).await, want, "{text}");
}

#[tokio::test]
async fn functions() {
    check("SELECT version()", "PostgreSQL 16.0 (Millstream 0.1)\n[1]").await;
    check("SELECT current_schema(), current_database(), current_user", "public|shop|tester\n[1]").await;
    check("SELECT pg_catalog.format_type(1700, 655366), format_type(1009, NULL)", "numeric(10,2)|text[]\n[1]").await;
    check("SELECT current_schemas(true)", "{pg_catalog,public}\n[1]").await;
    check("SELECT NULL, NULL, pg_is_in_recovery()", "NULL|NULL|f\n[1]").await;
    check("SELECT 'orders'::regclass::oid = to_regclass('public.orders')", "t\n[1]").await;
    check("SELECT 'nowhere'::regclass", "42P01: relation \"nowhere\" does not exist").await;
}

#[tokio::test]
async fn tables() {
    let sources = "SELECT c.relname, n.nspname FROM pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE c.relkind = 'r' AND n.nspname <> 'pg_catalog' ORDER BY 1";
    check(sources, "Clicks|public\nORDERS|public\n[2]").await;
    let columns = "SELECT column_name, data_type, is_nullable FROM information_schema.columns \
                   WHERE table_name = 'ORDERS' ORDER BY ordinal_position";
    check(columns, "ID|bigint|NO\nAMOUNT|numeric|YES\nTAGS|ARRAY|YES\nAT|timestamp without time zone|YES\n[4]").await;
    check(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
        "Clicks\nORDERS\n[2]",
    )
    .await;
    check("SELECT c.oid::regclass FROM pg_class c WHERE c.oid = 'orders'::regclass", "ORDERS\n[1]").await;
    check("SELECT typname FROM pg_type WHERE oid = ANY(ARRAY[23, 25]) ORDER BY 1", "int4\ntext\n[2]").await;
    check("SELECT count(*) FROM pg_trigger", "0\n[1]").await;
    check("SELECT rolname FROM pg_roles", "tester\n[1]").await;
}

#[tokio::test]
async fn with_parameters_and_in_binary() {
    let server = Server::start().await;
    let client = server.client().await;
    let rows = client.query("SELECT oid, typname FROM pg_type WHERE typname = $1", &[&"int4"]).await.unwrap();
    assert_eq!((rows[0].get::<_, u32>(0), rows[0].get::<_, &str>(1)), (23, "int4"));
    assert_eq!(rows[0].columns()[1].type_().name(), "name");
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
    assert!(row.get::<_, i32>(0) > 0);
}

/// What psql prints for a command; `None` without psql.
async fn psql(server: &Server, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("psql");
    command
        .args(["-X", "-h", "127.0.0.1", "-p", &server.address.port().to_string(), "-U", "tester", "-d", "shop"])
        .args(arguments)
        .env("PAGER", "")
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    match output {
        Ok(output) => Some(String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()),
        Err(e) => {
            eprintln!("*** SKIPPED: psql cannot be run ({e}); install it to test against it ***");
            None
        }
    }
}

async fn check_psql(arguments: &[&str], wants: &[&str]) {
    let server = Server::start().await;
    let Some(got) = psql(&server, arguments).await else { return };
    for want in wants {
        assert!(got.contains(want), "psql {arguments:?}: no {want:?} in\n{got}");
    }
    assert!(!got.contains("ERROR"), "psql {arguments:?}:\n{got}");
}

#[tokio::test]
async fn psql_queries() {
    check_psql(&["-c", "SELECT * FROM numbers LIMIT 2"], &[" N \n---\n 0\n 1\n(2 rows)"]).await;
    check_psql(&["-c", "INSERT INTO t VALUES (1)"], &["NOTICE:  kept in mind", "INSERT 0 1"]).await;
    check_psql(&["-v", "FETCH_COUNT=1", "-c", "SELECT * FROM numbers LIMIT 2"], &["0\n", "1\n"]).await;
}

#[tokio::test]
async fn psql_errors_point_at_the_culprit() {
    let server = Server::start().await;
    let Some(got) = psql(&server, &["-c", "SELECT * FROM nowhere"]).await else { return };
    assert_eq!(
        got,
        "ERROR:  NOWHERE does not exist\nLINE 1: SELECT * FROM nowhere\n                      ^\nHINT:  SHOW STREAMS\n"
    );
}

#[tokio::test]
async fn psql_describes() {
    check_psql(&["-c", "\\d"], &["public | Clicks | table | tester", "public | ORDERS | table | tester"]).await;
    check_psql(&["-c", "\\dt"], &["public | ORDERS | table | tester"]).await;
    check_psql(&["-c", "\\dt+"], &["table over topic orders"]).await;
    check_psql(
        &["-c", "\\d orders"],
        &[
            "Table \"public.ORDERS\"",
            "ID     | bigint",
            "not null",
            "AMOUNT | numeric(10,2)",
            "TAGS   | text[]",
            "\"ORDERS_pkey\" PRIMARY KEY, hash (\"ID\")",
        ],
    )
    .await;
    check_psql(&["-c", "\\d+ \"Clicks\""], &["url", "text"]).await;
    check_psql(&["-c", "\\l"], &["shop | tester"]).await;
    check_psql(&["-c", "\\dn"], &["public | tester"]).await;
    check_psql(&["-c", "\\df"], &["public | abs", "public | latest_by_offset", "public | explode"]).await;
    check_psql(&["-c", "\\df ucase"], &["public | ucase", "(1 row)"]).await;
    check_psql(&["-c", "\\conninfo"], &["connected to database \"shop\" as user \"tester\""]).await;
    check_psql(&["-c", "\\du"], &["tester"]).await;
    check_psql(&["-c", "\\dv"], &[]).await;
    check_psql(&["-c", "\\di"], &["ORDERS_pkey"]).await;
    check_psql(&["-c", "\\dT"], &[]).await;
}
