//! The clients that people have, run against the server by the scripts in `tests/`. A script whose client is not here is
//! skipped, and says so.
//!
//! `MILLSTREAM_TEST_PYTHON` names the Python that has the client libraries, `KAFKA_TOOLS` the folder of Apache Kafka's
//! own tools, `KAFKA_CLASSPATH` its jars, as `java -cp` takes them, `FLINK_CLASSPATH` those of Flink's SQL with its Kafka
//! connector.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use super::process::Server;
use crate::support::{text, workspace};

/// What is at fault when a script fails.
fn shown(name: &str, output: &std::process::Output) -> String {
    format!("{name}: {}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

fn runs(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A Python that has the module.
fn python_with(module: &str) -> Result<Command, String> {
    let python = std::env::var("MILLSTREAM_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = runs(Command::new(&python).args(["-c", &format!("import {module}")]).current_dir("/"));
    if has {
        Ok(Command::new(python))
    } else {
        Err(format!("{python} has no module {module}; MILLSTREAM_TEST_PYTHON names another Python"))
    }
}

fn kcat() -> Result<Command, String> {
    if runs(Command::new("kcat").arg("-V")) { Ok(Command::new("bash")) } else { Err("there is no kcat".into()) }
}

/// The folder of Apache Kafka's tools.
fn kafka_tools() -> Result<PathBuf, String> {
    let beside = workspace().join("../shared/peers/bin");
    let folder = std::env::var_os("KAFKA_TOOLS").map_or(beside, PathBuf::from);
    let tools = [folder.join("kafka-topics"), folder.join("kafka-topics.sh")];
    if tools.iter().any(|tool| runs(Command::new(tool).arg("--version"))) {
        Ok(folder)
    } else {
        Err(format!("Kafka's tools do not run in {}; KAFKA_TOOLS names their folder", folder.display()))
    }
}

/// Apache Kafka's classes.
fn kafka_classes() -> Result<Command, String> {
    let Some(classes) = std::env::var_os("KAFKA_CLASSPATH") else {
        return Err("KAFKA_CLASSPATH does not say where Kafka's jars are".into());
    };
    if runs(Command::new("java").arg("-cp").arg(&classes).args(["org.apache.kafka.tools.TopicCommand", "--version"])) {
        Ok(Command::new("bash"))
    } else {
        Err(format!("Kafka's tools do not run by KAFKA_CLASSPATH={}", classes.display()))
    }
}

/// The command that runs a script, unless its client is missing.
fn script(name: &str, client: Result<Command, String>) -> Option<Command> {
    match client {
        Ok(mut command) => {
            command
                .arg(workspace().join("tests").join(name))
                .env("MILLSTREAM", env!("CARGO_BIN_EXE_millstream"))
                .stdin(Stdio::null());
            Some(command)
        }
        Err(reason) => {
            // Past what the test harness captures.
            let _ = writeln!(std::io::stderr(), "SKIPPED tests/{name}: {reason}");
            None
        }
    }
}

/// Run a script that starts its own server.
fn check_alone(name: &str, client: Result<Command, String>) {
    let Some(mut command) = script(name, client) else { return };
    let output = command.output().expect("the script runs");
    assert!(output.status.success(), "{}", shown(name, &output));
}

/// Run a script on a server with the addresses of which it is called.
fn check(name: &str, client: Result<Command, String>) {
    check_with(name, client, "");
}

fn check_with(name: &str, client: Result<Command, String>, configuration: &str) {
    let Some(mut command) = script(name, client) else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("millstream.toml");
    std::fs::write(&file, configuration).unwrap();
    let mut server = Server::start(&dir.path().join("data"), &["--config", file.to_str().expect("text")]);
    let pg = server.ready();
    let output = command.args([server.kafka().to_string(), pg.to_string()]).output().expect("the script runs");
    assert!(output.status.success(), "{}\n{}", shown(name, &output), server.log());
    let (status, log) = server.terminate();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn kcat_works() {
    check("kafka/kcat.sh", kcat());
}

#[test]
fn kafka_python_works() {
    check("kafka/client_kafka_python.py", python_with("kafka"));
}

#[test]
fn confluent_kafka_works() {
    check("kafka/client_confluent.py", python_with("confluent_kafka"));
}

#[test]
fn kafkas_own_tools_work() {
    let tools = kafka_tools().map(|folder| {
        let mut command = Command::new("bash");
        command.env("KAFKA_TOOLS", folder);
        command
    });
    check("kafka/java_tools.sh", tools);
}

/// Users and rules are made over the wire by whom the configuration names.
const SECURED: &str = "[kafka]\nsuper_users = [\"User:root\"]\n[kafka.users]\nroot = \"root's secret\"";

#[test]
fn kafkas_own_tools_secure_it() {
    check_with("kafka/java_security.sh", kafka_classes(), SECURED);
}

#[test]
fn confluent_kafka_secures_it() {
    check_with("kafka/client_security_confluent.py", python_with("confluent_kafka"), SECURED);
}

#[test]
fn kafkas_verifiable_clients_work() {
    check("kafka/java_verifiable.sh", kafka_classes());
}

#[test]
fn kafka_streams_works() {
    check("kafka/java_streams.sh", kafka_classes());
}

#[test]
fn flink_works() {
    let flink = kafka_classes().and_then(|command| match std::env::var_os("FLINK_CLASSPATH") {
        Some(_) => Ok(command),
        None => Err("FLINK_CLASSPATH does not say where Flink's jars are".into()),
    });
    check("kafka/java_flink.sh", flink);
}

#[test]
fn first_steps() {
    check_alone("kafka/scenario_first_steps.sh", kcat());
}

#[test]
fn a_network_capture() {
    check_alone("kafka/scenario_capture.sh", kcat());
}

#[test]
fn consumers_share_the_work() {
    check_alone("kafka/scenario_groups.sh", kcat());
}

#[test]
fn the_server_assigns() {
    let configuration = "[kafka]\ngroup_session_ms = 6000\ngroup_heartbeat_ms = 500";
    check_with("kafka/scenario_consumer_protocol.py", python_with("confluent_kafka"), configuration);
}

#[test]
fn the_last_message_of_a_key() {
    check("kafka/scenario_lookup.py", python_with("kafka"));
}

#[test]
fn old_records_go() {
    check_with("kafka/scenario_records.py", python_with("confluent_kafka"), "[log]\nmaintenance_interval_ms = 200");
}

#[test]
fn moving_up_to_a_cluster() {
    check_alone("kafka/scenario_moving_up.sh", kafka_classes().and_then(|_| kcat()));
}

#[test]
fn processes_and_brokers_are_killed() {
    check_alone("kafka/scenario_kills.sh", kafka_classes().and_then(|_| kcat()));
}

#[test]
fn strangers_stay_outside() {
    let openssl = kcat().and_then(|command| match runs(Command::new("openssl").arg("version")) {
        true => Ok(command),
        false => Err("there is no openssl".into()),
    });
    check_alone("kafka/scenario_secure.sh", openssl);
}

#[test]
fn confluents_serializers_work() {
    let name = "registry/serializers.py";
    let python =
        python_with("psycopg2, confluent_kafka.schema_registry.avro, confluent_kafka.schema_registry.protobuf");
    let Some(mut command) = script(name, python) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &[]);
    let pg = server.ready();
    let registry = format!("http://{}", server.http());
    let output = command.args([registry, pg.port().to_string()]).output().expect("the script runs");
    assert!(output.status.success(), "{}\n{}", shown(name, &output), server.log());
}
