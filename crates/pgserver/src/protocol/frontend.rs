//! Messages from the client.

use bytes::{Buf, Bytes};

/// How a value is written on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As text.
    Text,
    /// As the type's binary form.
    Binary,
}

/// A prepared statement or a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A prepared statement.
    Statement,
    /// A portal.
    Portal,
}

/// Values for a prepared statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    /// The portal to make; empty for the unnamed one.
    pub(crate) portal: String,
    /// The statement to bind.
    pub(crate) statement: String,
    /// Formats of the values: none (all text), one for all, or one each.
    pub(crate) formats: Vec<Format>,
    /// The values; `None` is NULL.
    pub(crate) values: Vec<Option<Bytes>>,
    /// Formats of the result's columns: none (all text), one for all, or one each.
    pub(crate) result_formats: Vec<Format>,
}

/// A message from the client after the session has begun.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frontend {
    /// Run this text.
    Query(String),
    /// Prepare a statement.
    Parse { name: String, text: String, types: Vec<u32> },
    /// Make a portal.
    Bind(Bind),
    /// Say what a statement or portal takes and gives.
    Describe { target: Target, name: String },
    /// Run a portal for at most `rows_max` rows; 0: all.
    Execute { portal: String, rows_max: u32 },
    /// Forget a statement or portal.
    Close { target: Target, name: String },
    /// Send what is buffered.
    Flush,
    /// End of an extended sequence.
    Sync,
    /// Part of what COPY reads.
    CopyData(Bytes),
    /// End of what COPY reads.
    CopyDone,
    /// COPY is off, with the client's reason.
    CopyFail(String),
    /// Good-bye.
    Terminate,
    /// A message that is known and not served: FunctionCall, a password that nobody asked for.
    Unserved(&'static str),
}

/// A message that is not PostgreSQL's protocol. The session cannot go on: where the next message begins is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtocolError {
    /// The first byte names no message.
    #[error("invalid message type {0:#04x}")]
    Type(u8),
    /// A length that cannot be.
    #[error("invalid message length {length} (at most {max})")]
    Length { length: i64, max: usize },
    /// The body ends before its fields do, or goes on after them.
    #[error("malformed {0} message")]
    Malformed(&'static str),
    /// Text that is not UTF-8.
    #[error("invalid byte sequence for encoding \"UTF8\" in a {0} message")]
    Encoding(&'static str),
    /// A version of the protocol that is not served.
    #[error("unsupported frontend protocol {0}.{1}: the server supports 3.0")]
    Version(u16, u16),
}

impl ProtocolError {
    /// The SQLSTATE that goes with it.
    pub(crate) fn sqlstate(&self) -> &'static str {
        match self {
            ProtocolError::Encoding(_) => "22021",
            ProtocolError::Version(..) => "0A000",
            _ => "08P01",
        }
    }
}

impl Frontend {
    /// Reads the message of type `kind` whose body (without type and length) is `body`.
    pub(crate) fn decode(kind: u8, body: Bytes) -> Result<Frontend, ProtocolError> {
        let name = match kind {
            b'Q' => "Query",
            b'P' => "Parse",
            b'B' => "Bind",
            b'D' => "Describe",
            b'E' => "Execute",
            b'C' => "Close",
            b'H' => "Flush",
            b'S' => "Sync",
            b'd' => return Ok(Frontend::CopyData(body)),
            b'c' => "CopyDone",
            b'f' => "CopyFail",
            b'X' => "Terminate",
            b'F' => return Ok(Frontend::Unserved("function calls by protocol are not supported")),
            b'p' => return Ok(Frontend::Unserved("no password was asked for")),
            _ => return Err(ProtocolError::Type(kind)),
        };
        let mut body = Body { bytes: body, name };
        let message = match kind {
            b'Q' => Frontend::Query(body.text()?),
            b'P' => {
                let (name, text) = (body.text()?, body.text()?);
                let count = body.count()?;
                let types = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
                Frontend::Parse { name, text, types }
            }
            b'B' => Frontend::Bind(body.bind()?),
            b'D' => Frontend::Describe { target: body.target()?, name: body.text()? },
            b'E' => Frontend::Execute { portal: body.text()?, rows_max: u32::try_from(body.i32()?).unwrap_or(0) },
            b'C' => Frontend::Close { target: body.target()?, name: body.text()? },
            b'H' => Frontend::Flush,
            b'S' => Frontend::Sync,
            b'c' => Frontend::CopyDone,
            b'f' => Frontend::CopyFail(body.text()?),
            _ => Frontend::Terminate,
        };
        if body.bytes.has_remaining() { Err(ProtocolError::Malformed(name)) } else { Ok(message) }
    }
}

struct Body {
    bytes: Bytes,
    name: &'static str,
}

impl Body {
    fn short(&self) -> ProtocolError {
        ProtocolError::Malformed(self.name)
    }

    fn text(&mut self) -> Result<String, ProtocolError> {
        let end = memchr::memchr(0, &self.bytes).ok_or_else(|| self.short())?;
        let text = self.bytes.split_to(end);
        self.bytes.advance(1);
        String::from_utf8(text.into()).map_err(|_| ProtocolError::Encoding(self.name))
    }

    fn u8(&mut self) -> Result<u8, ProtocolError> {
        self.bytes.try_get_u8().map_err(|_| self.short())
    }

    fn i32(&mut self) -> Result<i32, ProtocolError> {
        self.bytes.try_get_i32().map_err(|_| self.short())
    }

    fn u32(&mut self) -> Result<u32, ProtocolError> {
        self.bytes.try_get_u32().map_err(|_| self.short())
    }

    /// A number of elements; each takes at least two bytes, so a count that cannot be true reserves nothing.
    fn count(&mut self) -> Result<usize, ProtocolError> {
        let count = usize::from(self.bytes.try_get_u16().map_err(|_| self.short())?);
        if count * 2 > self.bytes.remaining() { Err(self.short()) } else { Ok(count) }
    }

    fn target(&mut self) -> Result<Target, ProtocolError> {
        match self.u8()? {
            b'S' => Ok(Target::Statement),
            b'P' => Ok(Target::Portal),
            _ => Err(self.short()),
        }
    }

    fn formats(&mut self) -> Result<Vec<Format>, ProtocolError> {
        let count = self.count()?;
        let format = |code| match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            _ => Err(ProtocolError::Malformed("Bind")),
        };
        (0..count).map(|_| self.bytes.try_get_u16().map_err(|_| self.short()).and_then(format)).collect()
    }

    fn value(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        match usize::try_from(self.i32()?) {
            Ok(length) if length <= self.bytes.remaining() => Ok(Some(self.bytes.split_to(length))),
            Ok(_) => Err(self.short()),
            Err(_) => Ok(None),
        }
    }

    fn bind(&mut self) -> Result<Bind, ProtocolError> {
        let (portal, statement) = (self.text()?, self.text()?);
        let formats = self.formats()?;
        let count = self.count()?;
        let values = (0..count).map(|_| self.value()).collect::<Result<_, _>>()?;
        let result_formats = self.formats()?;
        Ok(Bind { portal, statement, formats, values, result_formats })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(kind: u8, body: &'static [u8], want: Result<Frontend, ProtocolError>) {
        assert_eq!(Frontend::decode(kind, Bytes::from_static(body)), want);
    }

    #[test]
    fn reads_messages() {
        check(b'Q', b"SELECT 1\0", Ok(Frontend::Query("SELECT 1".into())));
        check(
            b'P',
            b"\0SELECT\0\0\x01\0\0\0\x17",
            Ok(Frontend::Parse { name: String::new(), text: "SELECT".into(), types: vec![23] }),
        );
        check(
            b'B',
            b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01a\xff\xff\xff\xff\0\0",
            Ok(Frontend::Bind(Bind {
                portal: "p".into(),
                statement: "s".into(),
                formats: vec![Format::Binary],
                values: vec![Some(Bytes::from_static(b"a")), None],
                result_formats: vec![],
            })),
        );
        check(b'E', b"\0\0\0\0\x05", Ok(Frontend::Execute { portal: String::new(), rows_max: 5 }));
    }

    #[test]
    fn refuses_what_does_not_add_up() {
        check(b'Q', b"no end", Err(ProtocolError::Malformed("Query")));
        check(b'Q', b"a\0b", Err(ProtocolError::Malformed("Query")));
        check(b'Q', b"\xff\0", Err(ProtocolError::Encoding("Query")));
        check(b'B', b"\0\0\xff\xff", Err(ProtocolError::Malformed("Bind")));
        check(b'B', b"\0\0\0\0\0\x01\0\0\0\x09a\0\0", Err(ProtocolError::Malformed("Bind")));
        check(b'?', b"", Err(ProtocolError::Type(b'?')));
    }

    proptest! {
        #[test]
        fn never_panics(kind in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..64)) {
            _ = Frontend::decode(kind, Bytes::from(body));
        }
    }
}
