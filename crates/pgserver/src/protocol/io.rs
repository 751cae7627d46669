//! The reading half of a connection.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::{io::AsyncReadExt, net::tcp::OwnedReadHalf};

use super::{Frontend, MESSAGE_BYTES_MAX, ProtocolError};

/// Bytes that are read ahead while a statement runs, to notice that the client went away.
const READ_AHEAD_BYTES_MAX: usize = 64 << 10;

/// Bytes that a read makes room for.
const READ_BYTES: usize = 16 << 10;

/// What a client has sent and nobody has looked at yet.
pub(crate) struct Input {
    half: OwnedReadHalf,
    buffer: BytesMut,
}

impl Input {
    /// Reads from `half`.
    pub(crate) fn new(half: OwnedReadHalf) -> Input {
        Input { half, buffer: BytesMut::new() }
    }

    /// The next message; `None` when the client closed the connection.
    pub(crate) async fn message(&mut self) -> io::Result<Result<Option<Frontend>, ProtocolError>> {
        loop {
            match self.buffered() {
                Ok(None) => {}
                done => return Ok(done),
            }
            if !self.fill().await? {
                return Ok(Ok(None));
            }
        }
    }

    /// The next message if it has arrived already.
    pub(crate) fn buffered(&mut self) -> Result<Option<Frontend>, ProtocolError> {
        let Some((kind, head)) = self.buffer.split_first() else { return Ok(None) };
        let Some(length) = length(head, MESSAGE_BYTES_MAX)? else { return Ok(None) };
        if self.buffer.len() <= length {
            self.buffer.reserve(length.saturating_sub(self.buffer.len()) + 1);
            return Ok(None);
        }
        let kind = *kind;
        let mut body = self.buffer.split_to(length + 1).freeze();
        body.advance(5);
        Frontend::decode(kind, body).map(Some)
    }

    /// The next packet without a type byte (those before the session): its body.
    pub(crate) async fn untyped(&mut self, bytes_max: usize) -> io::Result<Result<Option<Bytes>, ProtocolError>> {
        loop {
            match length(&self.buffer, bytes_max) {
                Err(e) => return Ok(Err(e)),
                Ok(Some(length)) if self.buffer.len() >= length => {
                    let mut body = self.buffer.split_to(length).freeze();
                    body.advance(4);
                    return Ok(Ok(Some(body)));
                }
                Ok(_) => {}
            }
            if !self.fill().await? {
                return Ok(Ok(None));
            }
        }
    }

    /// Returns when the client has gone away; meanwhile keeps what it sends, up to a limit.
    pub(crate) async fn closed(&mut self) -> io::Error {
        loop {
            // Good-bye may come without closing the connection: some clients wait for the server to close it.
            if self.buffer.first() == Some(&b'X') {
                return io::ErrorKind::UnexpectedEof.into();
            }
            if self.buffer.len() >= READ_AHEAD_BYTES_MAX {
                return std::future::pending().await;
            }
            match self.fill().await {
                Ok(true) => {}
                Ok(false) => return io::ErrorKind::UnexpectedEof.into(),
                Err(e) => return e,
            }
        }
    }

    /// Whether more arrived; false at the end. Cancel safe.
    async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.reserve(READ_BYTES);
        Ok(self.half.read_buf(&mut self.buffer).await? > 0)
    }
}

/// The length (which counts itself) at the head of a packet.
fn length(head: &[u8], bytes_max: usize) -> Result<Option<usize>, ProtocolError> {
    let Some(head) = head.first_chunk::<4>() else { return Ok(None) };
    let length = i32::from_be_bytes(*head);
    match usize::try_from(length) {
        Ok(n) if (4..=bytes_max).contains(&n) => Ok(Some(n)),
        _ => Err(ProtocolError::Length { length: length.into(), max: bytes_max }),
    }
}
