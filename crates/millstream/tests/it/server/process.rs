//! The server as a process of its own.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

/// Longest that anything may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Lines of the server's log that are kept for when it does not start.
const LINES_KEPT: usize = 200;

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    lines: mpsc::Receiver<String>,
    kept: Arc<Mutex<VecDeque<String>>>,
    kafka: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

impl Server {
    /// Start it on `data`, on any ports that are free.
    pub fn start(data: &Path, arguments: &[&str]) -> Server {
        let kafka = if arguments.contains(&"--kafka") { &[][..] } else { &["--kafka", "127.0.0.1:0"] };
        let data = ["--data", data.to_str().expect("a path of text")];
        Server::launch(&[kafka, &data, arguments].concat())
    }

    /// Start it with nothing but these, and on any ports that are free.
    pub fn launch(arguments: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_millstream"))
            .args(["--log-format", "json", "start", "--pg", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stderr = child.stderr.take().expect("its log is piped");
        let (sender, lines) = mpsc::channel();
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let keep = kept.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut kept = keep.lock().expect("no panic");
                if kept.len() == LINES_KEPT {
                    kept.pop_front();
                }
                kept.push_back(line.clone());
                drop(kept);
                let _ = sender.send(line);
            }
        });
        Server { child, lines, kept, kafka: None, http: None }
    }

    /// What it has logged last.
    pub fn log(&self) -> String {
        Vec::from(self.kept.lock().expect("no panic").clone()).join("\n")
    }

    /// Wait until it takes connections; where.
    pub fn ready(&mut self) -> SocketAddr {
        let fields = self.until("ready");
        let address = |listener: &str| fields[listener].as_str().and_then(|text| text.parse().ok());
        self.kafka = address("kafka");
        self.http = address("http");
        address("pg").expect("an address")
    }

    /// Wait for a line of its log; its fields.
    fn until(&self, message: &str) -> serde_json::Value {
        loop {
            let line = match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(e) => panic!("the server does not say {message:?} ({e}):\n{}", self.log()),
            };
            let Ok(line) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            if line["fields"]["message"] == message {
                return line["fields"].clone();
            }
        }
    }

    /// Where Kafka clients connect, once it is ready.
    pub fn kafka(&self) -> SocketAddr {
        self.kafka.expect("it is ready and listens")
    }

    /// Where HTTP is served, once it is ready.
    pub fn http(&self) -> SocketAddr {
        self.http.expect("it is ready and listens")
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }

    /// SIGTERM; how it ended.
    pub fn terminate(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success());
        let status = self.child.wait().expect("it ends");
        (status, self.log())
    }

    /// Wait until it ends by itself.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("it ends");
        // The log's thread ends with the pipe.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        (status, self.log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
