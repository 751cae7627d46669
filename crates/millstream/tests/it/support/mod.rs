//! A server in a process of its own, as users run it.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

/// The binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_millstream");

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there")
}

/// A running server; killed when dropped.
pub struct Server {
    process: Child,
    /// Where PostgreSQL clients connect, as host:port.
    pub pg: String,
    /// Where HTTP is served.
    pub http: String,
    pub data: TempDir,
    /// Standard error goes on being read, so that the server never waits for it.
    lines: Option<std::thread::JoinHandle<String>>,
}

impl Server {
    /// On an empty directory and free ports.
    pub fn start() -> Server {
        Server::start_with(&[])
    }

    /// With more arguments.
    pub fn start_with(arguments: &[&str]) -> Server {
        Server::start_on(TempDir::new().expect("a directory"), arguments)
    }

    /// On a directory.
    #[expect(clippy::zombie_processes, reason = "dropping the server waits for it")]
    pub fn start_on(data: TempDir, arguments: &[&str]) -> Server {
        let mut command =
            millstream(&["start", "--pg", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-format", "json"]);
        if !arguments.contains(&"--kafka") {
            command.args(["--kafka", "off"]);
        }
        command.arg("--data").arg(data.path()).args(arguments).stderr(Stdio::piped()).stdout(Stdio::null());
        let mut process = command.spawn().expect("starts");
        let mut lines = BufReader::new(process.stderr.take().expect("standard error"));
        let mut log = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).expect("readable"), 0, "the server ended: {log}");
            log.push_str(&line);
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
            let fields = &entry["fields"];
            if fields["message"] == "ready" {
                let field = |name: &str| fields[name].as_str().expect("an address").to_string();
                let (pg, http) = (field("pg"), field("http"));
                let lines = std::thread::spawn(move || {
                    let mut rest = String::new();
                    let _ = lines.read_to_string(&mut rest);
                    rest
                });
                return Server { process, pg, http, data, lines: Some(lines) };
            }
        }
    }

    /// A command against this server.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = millstream(arguments);
        command.env("MILLSTREAM_SERVER", &self.pg);
        command
    }

    /// Runs a command to its end with `input`; what it gave.
    pub fn run(&self, arguments: &[&str], input: &str) -> Output {
        run(self.command(arguments), input)
    }

    /// Runs a command that must succeed; its standard output.
    pub fn ok(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Sends a signal and waits for the end: exit code, what it logged meanwhile, and its data.
    pub fn stop(mut self, signal: &str) -> (Option<i32>, String, TempDir) {
        send(signal, self.process.id());
        let status = self.process.wait().expect("ends");
        let log = self.lines.take().and_then(|l| l.join().ok()).unwrap_or_default();
        let data = std::mem::replace(&mut self.data, TempDir::new().expect("a directory"));
        (status.code(), log, data)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The command, with nothing of the developer's environment that it listens to.
pub fn millstream(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    for (name, _) in env::vars().filter(|(name, _)| name.starts_with("MILLSTREAM_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end with `input` on standard input.
pub fn run(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    let mut stdin = child.stdin.take().expect("standard input");
    let input = input.to_string();
    // A command that ends early does not read all of it.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("ends");
    let _ = writer.join();
    output
}

/// Sends a signal to a process.
pub fn send(signal: &str, process: u32) {
    let sent = Command::new("kill").args([format!("-{signal}"), process.to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
