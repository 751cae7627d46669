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
/// Between two looks whether a process has its service.
const ASK_PAUSE: Duration = Duration::from_millis(20);

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
        Server::start_with(binary, data, &[]).await
    }

    /// As [`Server::start`], with more arguments.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(binary: &Path, data: &Path, more: &[String]) -> Outcome<Server> {
        let mut place = Command::new(binary);
        place.arg("start").arg("--data").arg(data).args(["--kafka", "off"]).args(more);
        Server::launch(place, &data.with_extension("log")).await
    }

    /// Start `binary` as the only process of a service on a Kafka cluster; else as [`Server::start`]. What it says goes
    /// to the file `said`.
    ///
    /// # Errors
    /// As [`Server::start`]; or it does not come to run the service in a minute.
    pub async fn start_on_cluster(binary: &Path, bootstrap: &str, service: &str, said: &Path) -> Outcome<Server> {
        let mut place = Command::new(binary);
        place.arg("start").args(["--kafka-bootstrap", bootstrap, "--service-id", service]);
        let mut server = Server::launch(place, said).await?;
        let since = Instant::now();
        // Until it has the service, it says that nobody does.
        while let Err(error) = server.connect().await {
            server.check_alive(said)?;
            if since.elapsed() > PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(ASK_PAUSE).await;
        }
        Ok(server)
    }

    async fn launch(mut command: Command, said_to: &Path) -> Outcome<Server> {
        let (port, http) = (free_port()?, free_port()?);
        let said = File::create(said_to)?;
        let started = Instant::now();
        let process = command
            .args(["--pg", &format!("127.0.0.1:{port}"), "--http", &format!("127.0.0.1:{http}")])
            .args(["--property", "auto.offset.reset=earliest"])
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()?;
        let mut server = Server { process, port, started_in: Duration::ZERO };
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            server.check_alive(said_to)?;
            if started.elapsed() > PATIENCE {
                return Err("the server accepts no connection".into());
            }
            tokio::time::sleep(CONNECT_PAUSE).await;
        }
        server.started_in = started.elapsed();
        Ok(server)
    }

    fn check_alive(&mut self, said_to: &Path) -> Outcome<()> {
        match self.process.try_wait()? {
            Some(status) => {
                let said = std::fs::read_to_string(said_to).unwrap_or_default();
                Err(format!("the server ended with {status}:\n{said}").into())
            }
            None => Ok(()),
        }
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

    /// End it at once, as a crash does.
    ///
    /// # Errors
    /// It is no more.
    pub fn kill(mut self) -> Outcome<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
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
