//! A client of the PostgreSQL wire: simple queries, COPY, cancelling.
//!
//! Small and our own, because the shell shows what drivers hide: command tags, notices, the types of columns of a
//! query that has not given a row yet.

use std::{fmt, io};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::{cli::Connect, failure::Failure};

/// Bytes of the longest message that is taken from a server.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Bytes of COPY data that are gathered before they are sent.
const COPY_BYTES: usize = 64 << 10;

/// The code of a cancel request.
const CANCEL: u32 = 80_877_102;

/// An error or notice of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// `ERROR`, `NOTICE`, ….
    pub(crate) severity: String,
    /// One sentence.
    pub(crate) message: String,
    /// More.
    pub(crate) detail: Option<String>,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// The character, from 1, of the text that it points at.
    pub(crate) position: Option<usize>,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\nhint: {hint}"))
    }
}

/// A column of rows to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// Whether its values are numbers.
    pub(crate) is_number: bool,
}

/// What the server says.
#[derive(Debug)]
pub(crate) enum Message {
    /// Rows are to come.
    Columns(Vec<Column>),
    /// A row: values as text.
    Row(Vec<Option<Bytes>>),
    /// A statement is done: its tag.
    Complete(String),
    /// There was no statement.
    Empty,
    /// A statement failed.
    Error(ServerError),
    /// Something to know.
    Notice(ServerError),
    /// COPY data may be sent.
    CopyIn,
    /// COPY data.
    CopyData(Bytes),
    /// The next query may be sent.
    Ready,
    /// Something else.
    Other,
}

/// What a cancel request needs.
#[derive(Debug, Clone)]
pub(crate) struct Canceller {
    address: (String, u16),
    process: u32,
    secret: Bytes,
}

/// A connection.
pub(crate) struct Client {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    input: BytesMut,
    output: BytesMut,
    canceller: Canceller,
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(to: &Connect) -> Result<Client, Failure> {
        let target = Target::new(to)?;
        let (host, port) = (target.host.clone(), target.port);
        let nobody = |e: io::Error| {
            Failure::new(format!("no server at {host}:{port} ({e}); `millstream start` runs one, --host and --port find it"))
        };
        let socket = TcpStream::connect((host.as_str(), port)).await.map_err(nobody)?;
        socket.set_nodelay(true)?;
        let (read, write) = socket.into_split();
        let canceller = Canceller { address: (host.clone(), port), process: 0, secret: Bytes::new() };
        let mut client = Client { read, write, input: BytesMut::new(), output: BytesMut::new(), canceller };
        client.start(&target).await.map_err(|e| e.context(format!("{host}:{port}")))?;
        Ok(client)
    }

    async fn start(&mut self, target: &Target) -> Result<(), Failure> {
        let mut body = BytesMut::new();
        body.put_u32(3 << 16);
        for (name, value) in
            [("user", &target.user), ("database", &target.database), ("application_name", &"millstream".to_owned())]
        {
            put_text(&mut body, name);
            put_text(&mut body, value);
        }
        body.put_u8(0);
        self.output.put_u32(length(body.len() + 4)?);
        self.output.put_slice(&body);
        self.flush().await?;
        loop {
            let (kind, mut body) = self.packet().await?;
            match kind {
                b'R' => match body.try_get_u32() {
                    Ok(0) => {}
                    _ => return Err(Failure::new("the server wants a password, which this client cannot give")),
                },
                b'K' => {
                    self.canceller.process = body.try_get_u32().map_err(|_| malformed())?;
                    self.canceller.secret = body;
                }
                b'E' => return Err(Failure::new(error(body))),
                b'Z' => return Ok(()),
                _ => {}
            }
        }
    }

    /// What a cancel request needs.
    pub(crate) fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Sends a text of statements.
    pub(crate) async fn query(&mut self, text: &str) -> Result<(), Failure> {
        self.output.put_u8(b'Q');
        self.output.put_u32(length(text.len() + 5)?);
        put_text(&mut self.output, text);
        self.flush().await
    }

    /// The next message. Cancel safe.
    pub(crate) async fn message(&mut self) -> Result<Message, Failure> {
        let (kind, body) = self.packet().await?;
        message(kind, body)
    }

    /// Messages up to Ready, for statements whose rows nobody looks at; the last tag. Fails at an error.
    pub(crate) async fn finish(&mut self) -> Result<String, Failure> {
        let (mut tag, mut failure) = (String::new(), None);
        loop {
            match self.message().await? {
                Message::Complete(done) => tag = done,
                Message::Error(e) => failure = Some(Failure::new(e)),
                Message::Notice(notice) => eprintln!("{}: {}", notice.severity, notice.message),
                Message::Ready => return failure.map_or(Ok(tag), Err),
                _ => {}
            }
        }
    }

    /// Sends COPY data; small pieces are gathered until [`flush`](Client::flush).
    pub(crate) async fn copy_data(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.output.put_u8(b'd');
        self.output.put_u32(length(data.len() + 4)?);
        self.output.put_slice(data);
        if self.output.len() >= COPY_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Ends COPY data.
    pub(crate) async fn copy_done(&mut self) -> Result<(), Failure> {
        self.output.put_slice(b"c\0\0\0\x04");
        self.flush().await
    }

    /// Sends what was gathered.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        self.write.write_all_buf(&mut self.output).await.map_err(lost)
    }

    async fn packet(&mut self) -> Result<(u8, Bytes), Failure> {
        loop {
            if let Some((kind, head)) = self.input.split_first()
                && let Some(head) = head.first_chunk::<4>()
            {
                let length = usize::try_from(u32::from_be_bytes(*head)).map_err(|_| malformed())?;
                if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
                    return Err(malformed());
                }
                if self.input.len() > length {
                    let kind = *kind;
                    let mut body = self.input.split_to(length + 1).freeze();
                    body.advance(5);
                    return Ok((kind, body));
                }
            }
            self.input.reserve(COPY_BYTES);
            if self.read.read_buf(&mut self.input).await.map_err(lost)? == 0 {
                return Err(Failure::new("the server closed the connection"));
            }
        }
    }
}

impl Canceller {
    /// Asks the server to end what the connection runs.
    pub(crate) async fn cancel(&self) -> Result<(), Failure> {
        let mut socket = TcpStream::connect((self.address.0.as_str(), self.address.1)).await?;
        let mut packet = BytesMut::new();
        packet.put_u32(length(12 + self.secret.len())?);
        packet.put_u32(CANCEL);
        packet.put_u32(self.process);
        packet.put_slice(&self.secret);
        socket.write_all(&packet).await?;
        // The server has heard it when it closes the connection.
        _ = socket.read(&mut [0]).await;
        Ok(())
    }
}

fn message(kind: u8, mut body: Bytes) -> Result<Message, Failure> {
    Ok(match kind {
        b'T' => {
            let count = body.try_get_u16().map_err(|_| malformed())?;
            Message::Columns((0..count).map(|_| column(&mut body)).collect::<Option<_>>().ok_or_else(malformed)?)
        }
        b'D' => {
            let count = body.try_get_u16().map_err(|_| malformed())?;
            Message::Row((0..count).map(|_| value(&mut body)).collect::<Option<_>>().ok_or_else(malformed)?)
        }
        b'C' => Message::Complete(text(&mut body).ok_or_else(malformed)?),
        b'I' => Message::Empty,
        b'E' => Message::Error(error(body)),
        b'N' => Message::Notice(error(body)),
        b'G' => Message::CopyIn,
        b'd' => Message::CopyData(body),
        b'Z' => Message::Ready,
        _ => Message::Other,
    })
}

fn column(body: &mut Bytes) -> Option<Column> {
    /// smallint, integer, bigint, oid, real, double precision, numeric.
    const NUMBERS: [u32; 7] = [20, 21, 23, 26, 700, 701, 1700];
    let name = text(body)?;
    if body.remaining() < 18 {
        return None;
    }
    body.advance(6);
    let oid = body.get_u32();
    body.advance(8);
    Some(Column { name, is_number: NUMBERS.contains(&oid) })
}

fn value(body: &mut Bytes) -> Option<Option<Bytes>> {
    let length = body.try_get_i32().ok()?;
    match usize::try_from(length) {
        Err(_) => Some(None),
        Ok(length) if length <= body.remaining() => Some(Some(body.split_to(length))),
        Ok(_) => None,
    }
}

fn text(body: &mut Bytes) -> Option<String> {
    let end = memchr::memchr(0, body)?;
    let text = String::from_utf8_lossy(&body.split_to(end)).into_owned();
    body.advance(1);
    Some(text)
}

fn error(mut body: Bytes) -> ServerError {
    let mut error = ServerError::default();
    while let Ok(field) = body.try_get_u8() {
        let Some(value) = text(&mut body).filter(|_| field != 0) else { break };
        match field {
            b'S' => error.severity = value,
            b'M' => error.message = value,
            b'D' => error.detail = Some(value),
            b'H' => error.hint = Some(value),
            b'P' => error.position = value.parse().ok(),
            _ => {}
        }
    }
    error
}

fn put_text(out: &mut BytesMut, text: &str) {
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}

fn length(length: usize) -> Result<u32, Failure> {
    u32::try_from(length).map_err(|_| Failure::new("a message is longer than 4 GiB"))
}

fn malformed() -> Failure {
    Failure::new("the server does not speak PostgreSQL's protocol")
}

fn lost(error: io::Error) -> Failure {
    Failure::new(format!("the connection to the server was lost: {error}"))
}

/// Where to connect and as whom.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
    user: String,
    database: String,
}

impl Target {
    fn new(to: &Connect) -> Result<Target, Failure> {
        let user = std::env::var("USER").unwrap_or_else(|_| "millstream".to_owned());
        let database = "millstream".to_owned();
        let Some(url) = &to.url else {
            return Ok(Target { host: to.host.clone(), port: to.port, user, database });
        };
        let wrong = || Failure::new(format!("--url {url}: expected postgres://[user@]host[:port][/database]"));
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")).ok_or_else(wrong)?;
        let rest = rest.split('?').next().unwrap_or(rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (who, place) = match authority.rsplit_once('@') {
            Some((who, place)) => (Some(who), place),
            None => (None, authority),
        };
        // An IPv6 address stands in brackets.
        let (host, port) = match place.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']')) {
            Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
            None => (place, to.port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong());
        }
        let user = who.and_then(|who| who.split(':').next()).filter(|u| !u.is_empty()).map_or(user, str::to_owned);
        let database = if path.is_empty() { database } else { path.to_owned() };
        Ok(Target { host: host.to_owned(), port, user, database })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |url: &str, want: Option<(&str, u16, &str, &str)>| {
            let to = Connect { url: Some(url.into()), host: String::new(), port: 5433 };
            let got = Target::new(&to).ok();
            let got = got.as_ref().map(|t| (t.host.as_str(), t.port, t.user.as_str(), t.database.as_str()));
            assert_eq!(got, want, "{url}");
        };
        check("postgres://me@db:7/x?sslmode=disable", Some(("db", 7, "me", "x")));
        check("postgresql://me:secret@[::1]", Some(("::1", 5433, "me", "millstream")));
        check("postgres://me@[::1]:9/", Some(("::1", 9, "me", "millstream")));
        check("http://db", None);
        check("postgres://:5", None);
    }

    #[test]
    fn errors_and_rows() {
        let got = error(Bytes::from_static(b"SERROR\0Mbad\0Hdo\0P7\0\0"));
        assert_eq!((got.message.as_str(), got.hint.as_deref(), got.position), ("bad", Some("do"), Some(7)));
        let row = message(b'D', Bytes::from_static(b"\0\x02\0\0\0\x01a\xff\xff\xff\xff"));
        assert!(matches!(row, Ok(Message::Row(row)) if row == [Some(Bytes::from_static(b"a")), None]));
        assert!(message(b'D', Bytes::from_static(b"\0\x02\0\0\0\x09a")).is_err());
    }
}
