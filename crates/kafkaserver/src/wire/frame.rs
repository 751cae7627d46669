//! A frame: four bytes of length, and so many bytes.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use super::budget::{Budget, Share};

/// Largest request; Kafka's own limit.
pub(crate) const FRAME_BYTES_MAX: usize = 100 << 20;
/// Largest request of a client that has not said who it is.
pub(crate) const FRAME_BYTES_MAX_STRANGER: usize = 64 << 10;
/// How long the rest of a request may take to come.
const FRAME_TIME_MAX: Duration = Duration::from_secs(30);
/// Memory for a request is reserved as it comes, so much at a time.
const STEP_BYTES: usize = 1 << 20;

/// The first byte of the next frame; `None` when the client has closed. Nothing is lost when this is dropped.
pub(crate) async fn first_byte<R: AsyncRead + Unpin>(from: &mut R) -> io::Result<Option<u8>> {
    let mut byte = [0; 1];
    let count = from.read(&mut byte).await?;
    Ok(byte.first().copied().filter(|_| count > 0))
}

/// The next frame, with its share of the budget; `None` when the client has closed. Both are awaited here, so reading
/// rests while the budget is used up. `first` is the frame's first byte, where that was read already.
pub(crate) async fn read<R: AsyncRead + Unpin>(
    from: &mut R,
    first: Option<u8>,
    bytes_max: usize,
    budget: &Budget,
) -> io::Result<Option<(Bytes, Share)>> {
    let first = match first {
        Some(first) => first,
        None => match first_byte(from).await? {
            Some(first) => first,
            None => return Ok(None),
        },
    };
    let slow = |_| io::Error::new(io::ErrorKind::TimedOut, "a request did not come whole");
    let mut rest = [0; 3];
    timeout(FRAME_TIME_MAX, from.read_exact(&mut rest)).await.map_err(slow)??;
    let [second, third, fourth] = rest;
    let length =
        usize::try_from(i32::from_be_bytes([first, second, third, fourth])).ok().filter(|length| *length <= bytes_max);
    let Some(length) = length else {
        let what = format!("a request of more than {bytes_max} bytes, or none of Kafka's");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    };
    let share = budget.take(length).await;
    let body = timeout(FRAME_TIME_MAX, read_body(from, length)).await.map_err(slow)??;
    Ok(Some((body, share)))
}

async fn read_body<R: AsyncRead + Unpin>(from: &mut R, length: usize) -> io::Result<Bytes> {
    let mut body = BytesMut::new();
    while body.len() < length {
        let left = length - body.len();
        if body.capacity() == body.len() {
            body.reserve(left.min(STEP_BYTES.max(body.len())));
        }
        let mut rest = (&mut *from).take(left as u64);
        if rest.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(body.freeze())
}
