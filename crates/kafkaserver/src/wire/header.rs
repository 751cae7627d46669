//! A request's header, and the frame of an answer.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Encodable, HeaderVersion};

use crate::error::Refused;

/// Longest client id that is kept, bytes; it is shown in descriptions of groups.
const CLIENT_ID_BYTES_MAX: usize = 1024;

/// A request's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestHead {
    /// Which API.
    pub key: i16,
    /// Which version of it.
    pub version: i16,
    /// Comes back with the answer.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
}

impl RequestHead {
    /// Read the part that all versions of the header have.
    pub fn read(frame: &mut Bytes) -> Result<RequestHead, Refused> {
        let cut_off = |_| Refused::Malformed("it ends inside the header".into());
        let key = frame.try_get_i16().map_err(cut_off)?;
        let version = frame.try_get_i16().map_err(cut_off)?;
        let correlation_id = frame.try_get_i32().map_err(cut_off)?;
        let length = frame.try_get_i16().map_err(cut_off)?;
        let client_id = match usize::try_from(length) {
            Ok(length) if length <= frame.len() => {
                let text = frame.split_to(length);
                let shown = text.get(..length.min(CLIENT_ID_BYTES_MAX)).unwrap_or_default();
                Some(String::from_utf8_lossy(shown).into_owned())
            }
            Ok(_) => return Err(Refused::Malformed("it ends inside the client's id".into())),
            Err(_) => None,
        };
        Ok(RequestHead { key, version, correlation_id, client_id })
    }

    /// Step over the tagged fields that flexible versions have behind it.
    pub fn skip_tags(frame: &mut Bytes) -> Result<(), Refused> {
        let before = frame.len();
        let mut rest: &[u8] = frame;
        let walked = super::shape::check_tags(&mut rest);
        walked.map_err(|error| Refused::Malformed(format!("its header: {error}")))?;
        let read = before - rest.len();
        frame.advance(read);
        Ok(())
    }
}

/// A whole answer: length, header, message.
pub(crate) fn answer<R: Encodable + HeaderVersion>(
    response: &R,
    version: i16,
    correlation_id: i32,
) -> Result<BytesMut, Refused> {
    let failed = |error: &dyn std::fmt::Display| Refused::Unanswerable(error.to_string());
    let size = response.compute_size(version).map_err(|error| failed(&error))?;
    let mut frame = BytesMut::with_capacity(size + 16);
    frame.put_u32(0);
    frame.put_i32(correlation_id);
    if R::header_version(version) > 0 {
        // No tagged fields.
        frame.put_u8(0);
    }
    response.encode(&mut frame, version).map_err(|error| failed(&error))?;
    let length = u32::try_from(frame.len() - 4).map_err(|error| failed(&error))?;
    if let Some(place) = frame.get_mut(..4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(frame)
}
