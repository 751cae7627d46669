//! The command line, against the real binary.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Stdio,
};

use crate::support::{Server, millstream, run, send, text};

/// Runs a command without a server: exit code, and standard output and error together.
fn check(arguments: &[&str], code: i32, parts: &[&str]) {
    let output = run(millstream(arguments), "");
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    parts.iter().for_each(|part| assert!(said.contains(part), "{arguments:?}: no {part:?} in\n{said}"));
}

#[test]
fn help_teaches() {
    check(&["--help"], 0, &["A first tour", "quickstart", "Exit codes"]);
    check(&["start", "--help"], 0, &["--data", "--config", "MILLSTREAM_DATA", "Examples", "SIGTERM"]);
    check(&["sql", "--help"], 0, &["RUN SCRIPT", "SPOOL", "Ctrl-C"]);
    check(&["produce", "--help"], 0, &["--key-separator", "Examples"]);
    check(&["consume", "--help"], 0, &["--from-beginning", "--max-messages", "--partition", "--offset"]);
    check(&["test", "--help"], 0, &["--filter", "--junit"]);
    check(&["strat"], 2, &["unrecognized subcommand", "start"]);
    check(&["start", "--pgg", "x"], 2, &["unexpected argument", "--pg"]);
}

#[test]
fn shells_complete() {
    for shell in ["bash", "zsh", "fish"] {
        check(&["completions", shell], 0, &["millstream", "produce", "from-beginning"]);
    }
    check(&["completions", "cmd"], 2, &["possible values"]);
}

#[test]
fn what_is_wrong_in_a_configuration_is_named() {
    let folder = tempfile::tempdir().expect("a directory");
    let config = |content: &str, parts: &[&str]| {
        let path = folder.path().join("millstream.toml");
        fs::write(&path, content).expect("written");
        check(&["start", "--config", path.to_str().expect("a path")], 1, parts);
    };
    config("data = 'd'\nprot = 3\n", &["millstream.toml", "line 2", "prot", "expected one of"]);
    config("\n\npg = 'nowhere'\n", &["line 3", "pg = 'nowhere'"]);
    config("threads = 'many'\n", &["line 1", "threads"]);
    config("pg =\n", &["line 1"]);
    check(&["start", "--config", "/nowhere/at/all.toml"], 1, &["/nowhere/at/all.toml"]);
    check(&["start", "--property", "novalue"], 1, &["NAME=VALUE"]);
    check(&["--log", "a=b=c", "topics"], 1, &["--log"]);
    check(&["sql", "--server", "127.0.0.1:1", "-c", "SELECT 1;"], 1, &["no server at 127.0.0.1:1", "millstream start"]);
}

#[test]
fn only_this_machine_is_served_unless_told() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().to_str().expect("a path");
    for option in ["--pg", "--http"] {
        let arguments = [
            "start",
            "--kafka=off",
            "--data",
            data,
            "--pg",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            option,
            "0.0.0.0:0",
        ];
        // The later of two options would be refused as given twice.
        let arguments: Vec<&str> = match option {
            "--pg" => [&arguments[..4], &arguments[6..]].concat(),
            _ => [&arguments[..6], &arguments[8..]].concat(),
        };
        check(&arguments, 1, &["reachable from other machines"]);
    }
}

#[test]
fn options_come_from_the_command_line_the_environment_and_the_file_in_that_order() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("c.toml");
    fs::write(&file, "pg = '0.0.0.0:0'\nhttp = '127.0.0.1:0'\n").expect("written");
    // The file's address is refused; the environment's is not.
    let mut from_file = millstream(&["start", "--kafka", "off"]);
    from_file.env("MILLSTREAM_CONFIG", &file).env("MILLSTREAM_DATA", folder.path());
    let output = run(from_file, "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("0.0.0.0:0 is reachable"), "{}", text(&output.stderr));
    let mut from_environment = millstream(&["start", "--kafka", "off"]);
    from_environment.env("MILLSTREAM_CONFIG", &file).env("MILLSTREAM_DATA", folder.path());
    from_environment.env("MILLSTREAM_PG", "0.0.0.1:0");
    let output = run(from_environment, "");
    assert!(text(&output.stderr).contains("0.0.0.1:0 is reachable"), "{}", text(&output.stderr));
}

#[test]
fn topics_are_made_filled_and_read() {
    let server = Server::start();
    server.ok(&["topics", "--create", "orders", "--partitions", "2", "--setting", "retention.ms=3600000"], "");
    let wrong = server.run(&["topics", "--create", "orders"], "");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("exists already"), "{}", text(&wrong.stderr));
    server.ok(&["produce", "orders", "--key-separator", ":", "--partition", "1"], "a:1\nb:2\n\\x:tab\there\n");
    server.ok(&["produce", "orders", "--partition", "0", "--null-value", "-"], "plain\n-\n");
    let wrong = server.run(&["produce", "orders", "--key-separator", ":"], "a:1\nno separator\n");
    assert!(text(&wrong.stderr).contains("line 2"), "{}", text(&wrong.stderr));
    let read = |arguments: &[&str]| server.ok(&[&["consume", "orders"], arguments].concat(), "");
    let keyed = read(&["--from-beginning", "--partition", "1", "--max-messages", "3", "--key-separator", "="]);
    assert_eq!(keyed, "a=1\nb=2\n\\x=tab\there\n");
    assert_eq!(read(&["--partition", "1", "--offset", "1", "--max-messages", "1"]), "2\n");
    assert_eq!(read(&["--partition", "0", "--offset", "0", "--max-messages", "1"]), "plain\n");
    assert!(server.ok(&["topics"], "").contains("orders"));
    let described = server.ok(&["topics", "--describe", "orders"], "");
    assert!(described.contains("3600000") || described.contains("retention"), "{described}");
    server.ok(&["topics", "--delete", "orders"], "");
    assert!(!server.ok(&["topics"], "").contains("orders"));
    let gone = server.run(&["consume", "ordres", "--from-beginning"], "");
    assert_eq!(gone.status.code(), Some(1));
}

const SETUP: &str = "
CREATE STREAM clicks (user_id VARCHAR KEY, page VARCHAR) WITH (kafka_topic = 'clicks', value_format = 'JSON', partitions = 1);
INSERT INTO clicks (user_id, page) VALUES ('ann', '/a');";

#[test]
fn the_shell_runs_statements_files_and_scripts() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a directory");
    let (script, spool) = (folder.path().join("setup.sql"), folder.path().join("out.txt"));
    fs::write(&script, SETUP).expect("written");
    let quoted = |path: &std::path::Path| format!("'{}'", path.display());
    let text_in = format!(
        "RUN SCRIPT {};\nDEFINE who = 'ann';\nSPOOL {};\nSELECT page FROM clicks WHERE user_id = '${{who}}';\nSPOOL OFF;\nSELECT 1 AS not_spooled;",
        quoted(&script),
        quoted(&spool)
    );
    let said = server.ok(&["sql"], &text_in);
    assert!(said.contains("/a") && said.contains("(1 row)") && said.contains("NOT_SPOOLED"), "{said}");
    let spooled = fs::read_to_string(&spool).expect("spooled");
    assert!(spooled.contains("/a") && !spooled.contains("NOT_SPOOLED"), "{spooled}");
    let said = server.ok(&["sql", "-c", "SELECT 1 AS a;", "-c", "SHOW STREAMS;"], "");
    assert!(said.contains("CLICKS"), "{said}");
    let failed = server.run(&["sql", "-c", "SELECT nothing FROM clicks;\nSELECT 2;"], "");
    assert_eq!(failed.status.code(), Some(1));
    let shown = text(&failed.stderr);
    assert!(shown.contains("NOTHING") && shown.contains("LINE 1: SELECT nothing") && shown.contains('^'), "{shown}");
    let missing = server.run(&["sql", "-f", "/nowhere.sql"], "");
    assert!(text(&missing.stderr).contains("/nowhere.sql"));
}

#[test]
fn rows_that_fail_are_told_on_standard_error() {
    let server = Server::start();
    server.ok(&["sql"], SETUP);
    let output = server.run(&["sql", "-c", "SELECT COUNT(PARSE_DATE(page, 'yyyy')) AS n FROM clicks;"], "");
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("WARNING: PARSE_DATE failed for 1 row"), "{}", text(&output.stderr));
}

#[test]
fn an_interrupt_ends_a_live_query_and_not_the_shell() {
    let server = Server::start();
    server.ok(&["sql"], SETUP);
    let live = "SET 'auto.offset.reset' = 'earliest'; SELECT page FROM clicks EMIT CHANGES;";
    let mut command = server.command(&["sql", "-c", live, "-c", "SELECT 'still there' AS said;"]);
    let mut shell = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let mut lines = BufReader::new(shell.stdout.take().expect("standard output")).lines();
    while !lines.next().expect("more").expect("text").contains("/a") {}
    send("INT", shell.id());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(shell.wait().expect("ends").success(), "{rest:?}");
    assert!(rest.iter().any(|l| l == "ended") && rest.iter().any(|l| l.contains("still there")), "{rest:?}");
}

/// The answer to a GET request.
fn get(address: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).expect("connects");
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("sends");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("answers");
    answer
}

#[test]
fn health_and_metrics_are_served() {
    let server = Server::start();
    server.ok(&["sql"], SETUP);
    server.ok(&["sql", "-c", "CREATE TABLE n AS SELECT user_id, COUNT(*) AS n FROM clicks GROUP BY user_id;"], "");
    let health = get(&server.http, "/health");
    assert!(health.starts_with("HTTP/1.1 200") && health.ends_with("ok\n"), "{health}");
    let metrics = get(&server.http, "/metrics");
    assert!(metrics.contains("millstream_query_running{query=\"CTAS_N_0\"} 1"), "{metrics}");
    assert!(get(&server.http, "/nothing").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_signal_stops_the_server_and_what_was_written_is_there_again() {
    let server = Server::start();
    server.ok(&["sql"], SETUP);
    let second = run(
        {
            let mut command = millstream(&["start", "--pg", "127.0.0.1:0", "--http", "127.0.0.1:0", "--kafka", "off"]);
            command.arg("--data").arg(server.data.path());
            command
        },
        "",
    );
    assert_eq!(second.status.code(), Some(1), "two servers on one directory");
    let (code, log, data) = server.stop("TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopping"), "{log}");
    let again = Server::start_on(data, &[]);
    let rows = again.ok(&["sql", "-c", "SELECT page FROM clicks;"], "");
    assert!(rows.contains("/a"), "{rows}");
}

#[test]
fn tests_have_exit_codes_and_reports() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_string();
    let stream = "CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');";
    let case = |want: i32| {
        format!(
            "--@test: doubled\n{stream}\nCREATE STREAM d AS SELECT id, n * 2 AS n FROM s;\nINSERT INTO s (id, n) VALUES (1, 2);\nASSERT VALUES d (id, n) VALUES (1, {want});\n"
        )
    };
    fs::write(path("good.sql"), case(4)).expect("written");
    fs::write(path("bad.sql"), case(5)).expect("written");
    check(&["test", &path("good.sql")], 0, &["passed"]);
    check(
        &["test", &path("good.sql"), &path("bad.sql"), "--junit", &path("out.xml")],
        1,
        &["doubled", "expected 5, found 4", "1 of 2 cases passed"],
    );
    let junit = fs::read_to_string(path("out.xml")).expect("a report");
    assert!(junit.contains("<testsuite") && junit.contains("<failure"), "{junit}");
    check(&["test", &path("bad.sql"), "--filter", "nothing of that name"], 2, &["nothing of that name"]);
    check(&["test", &path("missing.sql")], 2, &["missing.sql"]);
}
