//! The server as a process of its own: started, asked, measured, ended.

use std::{
    fs::File,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio_postgres::{Client, NoTls};

use crate::{Failure, Outcome};

/// How long a server may take to accept a connection, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(1);

/// A running server.
pub struct Server {
    process: Child,
    port: u16,
    /// From the start of the process to the first connection that was accepted.
    pub started_in: Duration,
}

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time of all threads, s.
    pub cpu_s: f64,
    /// The most memory that it had resident, bytes.
    pub peak_bytes: u64,
    /// What it has resident now, bytes.
    pub resident_bytes: u64,
}

impl Server {
    /// Start `binary` on the data directory, with the defaults but for ports, and queries read from the beginning.
    /// What it says goes to a file beside the directory.
    ///
    /// # Errors
    /// It ends, or accepts no connection for a minute.
    pub async fn start(binary: &Path, data: &Path) -> Outcome<Server> {
        let (port, http) = (free_port()?, free_port()?);
        let said = File::create(data.with_extension("log"))?;
        let started = Instant::now();
        let process = Command::new(binary)
            .arg("start")
            .arg("--data")
            .arg(data)
            .args(["--pg", &format!("127.0.0.1:{port}"), "--http", &format!("127.0.0.1:{http}")])
            .args(["--kafka", "off", "--property", "auto.offset.reset=earliest"])
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()?;
        let mut server = Server { process, port, started_in: Duration::ZERO };
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Some(status) = server.process.try_wait()? {
                let said = std::fs::read_to_string(data.with_extension("log")).unwrap_or_default();
                return Err(format!("the server ended with {status}:\n{said}").into());
            }
            if started.elapsed() > PATIENCE {
                return Err("the server accepts no connection".into());
            }
            tokio::time::sleep(CONNECT_PAUSE).await;
        }
        server.started_in = started.elapsed();
        Ok(server)
    }

    /// A session.
    ///
    /// # Errors
    /// The connection's.
    pub async fn connect(&self) -> Outcome<Client> {
        let config = format!("host=127.0.0.1 port={} user=bench dbname=bench", self.port);
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// It is no more.
    pub fn usage(&self) -> Outcome<Usage> {
        usage(self.process.id())
    }

    /// Its process, for tools that watch it.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ask it to end, and wait until it has.
    ///
    /// # Errors
    /// It does not end in a minute, or ends with an error.
    pub fn stop(mut self) -> Outcome<()> {
        let asked = Command::new("kill").arg(self.process.id().to_string()).status()?;
        if !asked.success() {
            return Err("the server cannot be asked to end".into());
        }
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait()? {
                return if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err("the server does not end".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a failure: nothing of it is to stay behind.
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// A port that is free now.
fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// What a process of this machine has used.
///
/// # Errors
/// There is none, or no `/proc`.
pub fn usage(process: u32) -> Outcome<Usage> {
    /// Ticks a second in `/proc`: fixed by Linux's interface to user space.
    const TICKS_PER_S: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may hold anything; the fields after it are numbers.
    let (_, fields) = stat.rsplit_once(')').ok_or("no such format of /proc/…/stat")?;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let bytes = |name: &str| -> Result<u64, Failure> {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).ok_or("no such line of /proc/…/status")?;
        let kib = line.trim_start_matches(':').split_whitespace().next().ok_or("an empty line of /proc/…/status")?;
        Ok(kib.parse::<u64>()? << 10)
    };
    Ok(Usage { cpu_s: ticks as f64 / TICKS_PER_S, peak_bytes: bytes("VmHWM")?, resident_bytes: bytes("VmRSS")? })
}
