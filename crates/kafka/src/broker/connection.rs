//! A connection to a broker: dialling, proving who one is, requests and their answers.

use std::{
    collections::HashMap,
    fmt::Display,
    future::Future,
    io,
    marker::PhantomData,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiVersionsRequest, RequestHeader, ResponseHeader, SaslAuthenticateRequest, SaslAuthenticateResponse,
        SaslHandshakeRequest,
    },
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use recordlog::{LogError, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    rooms::Rooms,
    sasl::{Credentials, Exchange},
    tls::Tls,
};
use crate::config::ClusterConfig;

/// Longest that a broker is waited for until it can be asked.
const DIAL_WAIT: Duration = Duration::from_secs(5);
/// Longest that an answer is waited for that the broker does not hold back by intent.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Largest answer: a batch may be as large as its topic allows.
const ANSWER_BYTES_MAX: usize = 1 << 30;
/// Room for a request's length and header.
const FRAME_EXTRA_BYTES: usize = 256;
/// A larger request's room is not kept for the next one.
const FRAME_BYTES_KEPT: usize = 2 << 20;

/// Plain or encrypted.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Knows how to reach brokers.
pub(crate) struct Dialer {
    client_id: StrBytes,
    tls: Option<Tls>,
    credentials: Option<Credentials>,
}

/// A request that was sent.
#[derive(Debug)]
pub(crate) struct Pending<R> {
    version: i16,
    correlation_id: i32,
    request: PhantomData<fn() -> R>,
}

/// A connection that can be asked.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    /// Of the broker, for messages.
    address: String,
    client_id: StrBytes,
    correlation_id: i32,
    /// First and last version of what the broker understands.
    versions: HashMap<i16, (i16, i16)>,
    /// When to prove anew who one is.
    expires: Option<Instant>,
    rooms: Rooms,
    /// What was sent last: its room is used again.
    frame: BytesMut,
}

impl Dialer {
    /// By the settings of a cluster.
    ///
    /// # Errors
    /// [`LogError::Invalid`]: a setting is not possible here, or a file that it names cannot be read.
    pub fn new(config: &ClusterConfig) -> Result<Dialer> {
        let protocol = config.properties.get("security.protocol").map_or("plaintext", String::as_str);
        let (encrypted, proven) = match protocol.to_ascii_lowercase().as_str() {
            "plaintext" => (false, false),
            "ssl" => (true, false),
            "sasl_plaintext" => (false, true),
            "sasl_ssl" => (true, true),
            other => {
                return Err(LogError::Invalid(format!(
                    "security.protocol: {other} is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"
                )));
            }
        };
        let client_id = match config.properties.get("client.id") {
            Some(name) => name.clone(),
            None => config.client_id(),
        };
        Ok(Dialer {
            client_id: StrBytes::from_string(client_id),
            tls: encrypted.then(|| Tls::new(&config.properties)).transpose()?,
            credentials: proven.then(|| Credentials::new(&config.properties)).transpose()?,
        })
    }

    /// Connect to a broker.
    pub async fn dial(&self, host: &str, port: u16) -> Result<Connection> {
        let address = format!("{host}:{port}");
        let dialled = within(DIAL_WAIT, &address, self.dial_now(host, port, &address)).await;
        dialled.map_err(|error| match error {
            LogError::Unavailable(text) => LogError::Unavailable(format!("connecting to {text}")),
            other => other,
        })
    }

    async fn dial_now(&self, host: &str, port: u16, address: &str) -> Result<Connection> {
        let stream = TcpStream::connect((host, port)).await.map_err(|e| gone(address, &e))?;
        stream.set_nodelay(true).map_err(|e| gone(address, &e))?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some(tls) => Box::new(tls.wrap(host, stream).await.map_err(|e| gone(address, &e))?),
            None => Box::new(stream),
        };
        let mut connection = Connection {
            stream,
            address: address.to_owned(),
            client_id: self.client_id.clone(),
            correlation_id: 0,
            versions: HashMap::new(),
            expires: None,
            rooms: Rooms::default(),
            frame: BytesMut::new(),
        };
        connection.learn_versions().await?;
        if let Some(credentials) = &self.credentials {
            connection.authenticate(credentials).await?;
        }
        Ok(connection)
    }
}

impl Connection {
    /// Whether it is better to make a new one: the broker will soon want to know again who asks.
    pub fn is_old(&self) -> bool {
        self.expires.is_some_and(|at| Instant::now() >= at)
    }

    /// The connection in `place`, or a new one where none is or it is old.
    pub async fn ready(
        place: &mut Option<Connection>,
        dial: impl Future<Output = Result<Connection>>,
    ) -> Result<&mut Connection> {
        let connection = match place.take().filter(|connection| !connection.is_old()) {
            Some(connection) => connection,
            None => dial.await?,
        };
        Ok(place.insert(connection))
    }

    /// Ask in the highest of `versions` that the broker understands, and wait for the answer for so long. After an
    /// error, or when dropped before its end, the connection is of no use any more.
    pub async fn ask<R: Request>(
        &mut self,
        request: &R,
        versions: RangeInclusive<i16>,
        wait: Duration,
    ) -> Result<R::Response> {
        Ok(self.ask_sized(request, versions, wait).await?.0)
    }

    /// As [`Connection::ask`]; and the answer's size, in bytes.
    pub async fn ask_sized<R: Request>(
        &mut self,
        request: &R,
        versions: RangeInclusive<i16>,
        wait: Duration,
    ) -> Result<(R::Response, usize)> {
        let pending = self.send(request, versions, wait).await?;
        self.receive(pending, wait).await
    }

    /// Ask without waiting for the answer; answers come in the order of what was asked.
    pub async fn send<R: Request>(
        &mut self,
        request: &R,
        versions: RangeInclusive<i16>,
        wait: Duration,
    ) -> Result<Pending<R>> {
        let (least, most) = self.versions.get(&R::KEY).copied().unwrap_or((-1, -1));
        let version = most.min(*versions.end());
        if version < least.max(*versions.start()) {
            return Err(LogError::Invalid(format!(
                "the broker at {} speaks versions {least} to {most} of request {}, {} to {} are spoken here",
                self.address,
                R::KEY,
                versions.start(),
                versions.end(),
            )));
        }
        let address = self.address.clone();
        within(wait, &address, self.send_in(request, version)).await
    }

    async fn send_in<R: Request>(&mut self, request: &R, version: i16) -> Result<Pending<R>> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        frame(&mut self.frame, request, version, self.correlation_id, &self.client_id)
            .map_err(|e| unsound(&self.address, &format!("a request cannot be written: {e}")))?;
        self.stream.write_all(&self.frame).await.map_err(|e| gone(&self.address, &e))?;
        if self.frame.capacity() > FRAME_BYTES_KEPT {
            self.frame = BytesMut::new();
        }
        self.stream.flush().await.map_err(|e| gone(&self.address, &e))?;
        Ok(Pending { version, correlation_id: self.correlation_id, request: PhantomData })
    }

    /// Wait for the answer to what was asked first of all that is not answered; and its size, in bytes.
    pub async fn receive<R: Request>(&mut self, pending: Pending<R>, wait: Duration) -> Result<(R::Response, usize)> {
        let address = self.address.clone();
        within(wait, &address, self.receive_in(pending)).await
    }

    async fn receive_in<R: Request>(&mut self, pending: Pending<R>) -> Result<(R::Response, usize)> {
        let mut answer = self.receive_bytes().await?;
        let (bytes, version) = (answer.len(), pending.version);
        let unsound = |e: &dyn Display| unsound(&self.address, e);
        let header =
            ResponseHeader::decode(&mut answer, R::Response::header_version(version)).map_err(|e| unsound(&e))?;
        if header.correlation_id != pending.correlation_id {
            return Err(unsound(&format!("answer {} to request {}", header.correlation_id, pending.correlation_id)));
        }
        Ok((R::Response::decode(&mut answer, version).map_err(|e| unsound(&e))?, bytes))
    }

    /// Ask in a version that need not be known to be understood.
    async fn exchange<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response> {
        let pending = self.send_in(request, version).await?;
        Ok(self.receive_in(pending).await?.0)
    }

    /// The next answer, without its length.
    async fn receive_bytes(&mut self) -> Result<Bytes> {
        let length = self.stream.read_u32().await.map_err(|e| gone(&self.address, &e))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(4..=ANSWER_BYTES_MAX).contains(&length) {
            return Err(unsound(&self.address, &format!("an answer of {length} bytes")));
        }
        let mut answer = self.rooms.take(length);
        let mut rest = (&mut self.stream).take(u64::try_from(length).unwrap_or(u64::MAX));
        while answer.len() < length {
            let read = rest.read_buf(&mut answer).await.map_err(|e| gone(&self.address, &e))?;
            if read == 0 {
                return Err(gone(&self.address, &io::Error::from(io::ErrorKind::UnexpectedEof)));
            }
        }
        Ok(self.rooms.lend(answer))
    }

    async fn learn_versions(&mut self) -> Result<()> {
        // Every broker understands this version, and none has to be known for it.
        let answer = self.exchange(&ApiVersionsRequest::default(), 0).await?;
        if answer.error_code != 0 {
            return Err(unsound(
                &self.address,
                &format!("it does not tell what it understands, error {}", answer.error_code),
            ));
        }
        self.versions = answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
        Ok(())
    }

    async fn authenticate(&mut self, credentials: &Credentials) -> Result<()> {
        let mechanism = credentials.mechanism();
        let hello = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let offered = self.exchange(&hello, 1).await?;
        if offered.error_code != 0 {
            let offered: Vec<&str> = offered.mechanisms.iter().map(StrBytes::as_str).collect();
            let offered = offered.join(", ");
            let text = format!("{}: sasl.mechanism {mechanism} is not offered, but {offered}", self.address);
            return Err(LogError::Invalid(text));
        }
        let (mut exchange, mut said) = (Exchange::begin(credentials)?, None::<Bytes>);
        loop {
            let (words, is_last) = exchange.step(said.as_deref())?;
            let Some(words) = words else { return Ok(()) };
            let request = SaslAuthenticateRequest::default().with_auth_bytes(words);
            let answer: SaslAuthenticateResponse = self.ask(&request, 0..=2, DIAL_WAIT).await?;
            if answer.error_code != 0 {
                let words = answer.error_message.unwrap_or_default();
                return Err(LogError::Invalid(format!("{}: authentication failed: {words}", self.address)));
            }
            if let Ok(lifetime @ 1..) = u64::try_from(answer.session_lifetime_ms) {
                // A tenth before its end.
                self.expires = Some(Instant::now() + Duration::from_millis(lifetime - lifetime / 10));
            }
            if is_last {
                return Ok(());
            }
            said = Some(answer.auth_bytes);
        }
    }
}

/// A request as it goes over the wire, in place of what is in `frame`.
fn frame<R: Request>(
    frame: &mut BytesMut,
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &StrBytes,
) -> Result<(), String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(client_id.clone()));
    let bytes = request.compute_size(version).map_err(|e| e.to_string())?;
    frame.clear();
    frame.reserve(bytes + FRAME_EXTRA_BYTES);
    frame.put_u32(0);
    header.encode(frame, R::header_version(version)).map_err(|e| e.to_string())?;
    request.encode(frame, version).map_err(|e| e.to_string())?;
    let length = u32::try_from(frame.len() - 4).map_err(|e| e.to_string())?;
    frame.as_mut().put_u32(length);
    Ok(())
}

async fn within<T>(wait: Duration, address: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| LogError::Unavailable(format!("{address}: no answer within {wait:?}"));
    timeout(wait, work).await.map_err(late)?
}

fn gone(address: &str, error: &dyn Display) -> LogError {
    LogError::Unavailable(format!("{address}: {error}"))
}

fn unsound(address: &str, what: &dyn Display) -> LogError {
    LogError::Unavailable(format!("{address} does not answer as a Kafka broker does: {what}"))
}
