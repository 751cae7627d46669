//! Messages to the client, and the buffer that they are written into.

use std::io;

use bytes::{BufMut, BytesMut};
use tokio::{io::AsyncWriteExt, net::tcp::OwnedWriteHalf};
use types::Error;

use super::Format;
use crate::values::ResultColumn;

/// Bytes that may wait in the buffer before they must go out: what a slow client costs.
const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// What ReadyForQuery says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionStatus {
    /// Not in a transaction.
    Idle,
    /// In a transaction.
    Open,
    /// In a transaction that has failed: only its end is accepted.
    Failed,
}

impl TransactionStatus {
    fn code(self) -> u8 {
        match self {
            TransactionStatus::Idle => b'I',
            TransactionStatus::Open => b'T',
            TransactionStatus::Failed => b'E',
        }
    }
}

/// The writing half of a connection and what waits to be written.
pub(crate) struct Output {
    half: OwnedWriteHalf,
    buffer: BytesMut,
}

impl Output {
    /// Writes to `half`.
    pub(crate) fn new(half: OwnedWriteHalf) -> Output {
        Output { half, buffer: BytesMut::with_capacity(OUTPUT_BYTES_MAX) }
    }

    /// Whether so much waits that it must go out before more is added.
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() >= OUTPUT_BYTES_MAX
    }

    /// The buffer, for those who write whole messages themselves.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Sends what waits. Cancel safe: what was not sent still waits.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        while !self.buffer.is_empty() {
            if self.half.write_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// The raw half, for the bytes before a session.
    pub(crate) fn half(&mut self) -> &mut OwnedWriteHalf {
        &mut self.half
    }

    /// AuthenticationOk.
    pub(crate) fn authentication_ok(&mut self) {
        self.message(b'R', |b| b.put_u32(0));
    }

    /// NegotiateProtocolVersion: 3.0, and the options that are unknown here.
    pub(crate) fn negotiate_protocol_version(&mut self, unknown_options: &[String]) {
        self.message(b'v', |b| {
            b.put_u32(0);
            b.put_u32(u32::try_from(unknown_options.len()).unwrap_or(u32::MAX));
            unknown_options.iter().for_each(|option| put_text(b, option));
        });
    }

    /// ParameterStatus.
    pub(crate) fn parameter_status(&mut self, name: &str, value: &str) {
        self.message(b'S', |b| {
            put_text(b, name);
            put_text(b, value);
        });
    }

    /// BackendKeyData.
    pub(crate) fn backend_key_data(&mut self, process: u32, secret: [u8; 4]) {
        self.message(b'K', |b| {
            b.put_u32(process);
            b.put_slice(&secret);
        });
    }

    /// ReadyForQuery.
    pub(crate) fn ready_for_query(&mut self, status: TransactionStatus) {
        self.message(b'Z', |b| b.put_u8(status.code()));
    }

    /// RowDescription.
    pub(crate) fn row_description(&mut self, columns: &[ResultColumn], formats: &[Format]) {
        self.message(b'T', |b| {
            b.put_u16(count(columns.len()));
            for (i, column) in columns.iter().enumerate() {
                put_text(b, &column.name);
                b.put_u32(0);
                b.put_u16(0);
                b.put_u32(column.pg_type.oid);
                b.put_i16(column.pg_type.length);
                b.put_i32(column.type_modifier());
                b.put_u16(format_code(format_of(formats, i)));
            }
        });
    }

    /// ParameterDescription.
    pub(crate) fn parameter_description(&mut self, oids: &[u32]) {
        self.message(b't', |b| {
            b.put_u16(count(oids.len()));
            oids.iter().for_each(|oid| b.put_u32(*oid));
        });
    }

    /// CommandComplete.
    pub(crate) fn command_complete(&mut self, tag: &str) {
        self.message(b'C', |b| put_text(b, tag));
    }

    /// ParseComplete.
    pub(crate) fn parse_complete(&mut self) {
        self.message(b'1', |_| {});
    }

    /// BindComplete.
    pub(crate) fn bind_complete(&mut self) {
        self.message(b'2', |_| {});
    }

    /// CloseComplete.
    pub(crate) fn close_complete(&mut self) {
        self.message(b'3', |_| {});
    }

    /// NoData.
    pub(crate) fn no_data(&mut self) {
        self.message(b'n', |_| {});
    }

    /// PortalSuspended.
    pub(crate) fn portal_suspended(&mut self) {
        self.message(b's', |_| {});
    }

    /// EmptyQueryResponse.
    pub(crate) fn empty_query(&mut self) {
        self.message(b'I', |_| {});
    }

    /// CopyInResponse: `columns` columns as text.
    pub(crate) fn copy_in(&mut self, columns: usize) {
        self.copy_response(b'G', columns);
    }

    /// CopyOutResponse: `columns` columns as text.
    pub(crate) fn copy_out(&mut self, columns: usize) {
        self.copy_response(b'H', columns);
    }

    fn copy_response(&mut self, kind: u8, columns: usize) {
        self.message(kind, |b| {
            b.put_u8(0);
            b.put_u16(count(columns));
            (0..columns).for_each(|_| b.put_u16(0));
        });
    }

    /// CopyData with what `write` writes.
    pub(crate) fn copy_data(&mut self, write: impl FnOnce(&mut BytesMut)) {
        self.message(b'd', write);
    }

    /// CopyDone.
    pub(crate) fn copy_done(&mut self) {
        self.message(b'c', |_| {});
    }

    /// NoticeResponse.
    pub(crate) fn notice(&mut self, message: &str) {
        self.told("NOTICE", "00000", message);
    }

    /// NoticeResponse of something that may be wrong.
    pub(crate) fn warning(&mut self, message: &str) {
        self.told("WARNING", "01000", message);
    }

    fn told(&mut self, severity: &str, sqlstate: &str, message: &str) {
        self.message(b'N', |b| {
            for (field, value) in [(b'S', severity), (b'V', severity), (b'C', sqlstate), (b'M', message)] {
                put_field(b, field, value);
            }
            b.put_u8(0);
        });
    }

    /// ErrorResponse; `position` is the character (from 1) that the error points at.
    pub(crate) fn error(&mut self, severity: &str, error: &Error, position: Option<usize>) {
        self.message(b'E', |b| error_fields(b, severity, error, position));
    }

    fn message(&mut self, kind: u8, write: impl FnOnce(&mut BytesMut)) {
        self.buffer.put_u8(kind);
        with_length(&mut self.buffer, true, write);
    }
}

/// The fields of an ErrorResponse.
fn error_fields(b: &mut BytesMut, severity: &str, error: &Error, position: Option<usize>) {
    put_field(b, b'S', severity);
    put_field(b, b'V', severity);
    put_field(b, b'C', error.sqlstate());
    put_field(b, b'M', error.message());
    if let Some(detail) = error.detail() {
        put_field(b, b'D', detail);
    }
    if let Some(hint) = error.hint() {
        put_field(b, b'H', hint);
    }
    if let Some(position) = position {
        put_field(b, b'P', itoa::Buffer::new().format(position));
    }
    b.put_u8(0);
}

/// Writes a 32-bit length before what `write` writes; `counts_itself`: the length includes its own four bytes.
pub(crate) fn with_length(b: &mut BytesMut, counts_itself: bool, write: impl FnOnce(&mut BytesMut)) {
    let start = b.len();
    b.put_i32(0);
    write(b);
    let length = b.len() - start - if counts_itself { 0 } else { 4 };
    // The server writes rows and texts that it holds in memory: a length beyond i32 is cut to what no client takes,
    // which ends the connection and nothing else.
    let length = i32::try_from(length).unwrap_or(i32::MAX);
    if let Some(head) = b.get_mut(start..start + 4) {
        head.copy_from_slice(&length.to_be_bytes());
    }
}

/// The format of column `i`: none given means text, one given is for all.
pub(crate) fn format_of(formats: &[Format], i: usize) -> Format {
    match formats {
        [] => Format::Text,
        [one] => *one,
        many => many.get(i).copied().unwrap_or(Format::Text),
    }
}

fn format_code(format: Format) -> u16 {
    match format {
        Format::Text => 0,
        Format::Binary => 1,
    }
}

fn put_field(b: &mut BytesMut, field: u8, value: &str) {
    b.put_u8(field);
    put_text(b, value);
}

/// Text with a zero at its end; zeros inside would end it early, so they are left out.
fn put_text(b: &mut BytesMut, text: &str) {
    if text.as_bytes().contains(&0) {
        text.bytes().filter(|byte| *byte != 0).for_each(|byte| b.put_u8(byte));
    } else {
        b.put_slice(text.as_bytes());
    }
    b.put_u8(0);
}

fn count(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}
