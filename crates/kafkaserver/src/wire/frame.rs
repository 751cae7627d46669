//! A frame: four bytes of length, and so many bytes.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, timeout_at},
};

use super::budget::{Budget, Share};

/// Largest request; Kafka's own limit.
pub(crate) const FRAME_BYTES_MAX: usize = 100 << 20;
/// Largest request of a client that has not said who it is.
pub(crate) const FRAME_BYTES_MAX_STRANGER: usize = 64 << 10;
/// Most bytes of one connection's requests that wait for their answers; a longer request is read alone. Enough to keep
/// the log's writer busy between two syncs, and little beside what a client has in its own buffers.
const CONNECTION_BYTES_MAX: usize = 8 << 20;
/// How long the rest of a request may take to come.
const FRAME_TIME_MAX: Duration = Duration::from_secs(30);
/// Memory for a request is reserved as it comes, so much at a time.
const STEP_BYTES: usize = 1 << 20;

/// The frames of a connection. What has come of one is kept here, so that waiting for the next can be given up and
/// taken up again.
#[derive(Debug)]
pub(crate) struct Frames<R> {
    from: R,
    length: [u8; 4],
    /// How many bytes of the length are there.
    have: usize,
    /// Until when the frame has to be whole, once it has begun.
    deadline: Option<Instant>,
    body: Option<Body>,
    /// Memory of this connection's requests.
    budget: Budget,
}

/// What a request takes of its connection's budget, and of that of all.
pub(crate) type Shares = [Share; 2];

#[derive(Debug)]
struct Body {
    length: usize,
    bytes: BytesMut,
    shares: Shares,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// The frames that come from there.
    pub fn new(from: R) -> Frames<R> {
        let budget = Budget::new(CONNECTION_BYTES_MAX);
        Frames { from, length: [0; 4], have: 0, deadline: None, body: None, budget }
    }

    /// The next frame, with its shares of the budgets; `None` when the client has closed. Both are awaited here, so
    /// reading rests while a budget is used up. Nothing is lost when this is dropped.
    pub async fn next(&mut self, bytes_max: usize, of_all: &Budget) -> io::Result<Option<(Bytes, Shares)>> {
        while self.have < self.length.len() {
            let place = self.length.get_mut(self.have..).unwrap_or_default();
            let count = read(&mut self.from, place, self.deadline).await?;
            if count == 0 {
                return if self.have == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            self.have += count;
            self.deadline.get_or_insert_with(|| Instant::now() + FRAME_TIME_MAX);
        }
        let body = match &mut self.body {
            Some(body) => body,
            None => {
                let length = usize::try_from(i32::from_be_bytes(self.length)).ok();
                let Some(length) = length.filter(|length| *length <= bytes_max) else {
                    let what = format!("a request of more than {bytes_max} bytes, or none of Kafka's");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                };
                let shares = [self.budget.take(length).await, of_all.take(length).await];
                self.deadline = Some(Instant::now() + FRAME_TIME_MAX);
                self.body.insert(Body { length, bytes: BytesMut::new(), shares })
            }
        };
        while body.bytes.len() < body.length {
            let left = body.length - body.bytes.len();
            if body.bytes.capacity() == body.bytes.len() {
                body.bytes.reserve(left.min(STEP_BYTES.max(body.bytes.len())));
            }
            let mut rest = (&mut self.from).take(left as u64);
            let reading = rest.read_buf(&mut body.bytes);
            let deadline = self.deadline.unwrap_or_else(Instant::now);
            if timeout_at(deadline, reading).await.map_err(slow)?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        (self.have, self.deadline) = (0, None);
        Ok(self.body.take().map(|body| (body.bytes.freeze(), body.shares)))
    }
}

async fn read<R: AsyncRead + Unpin>(from: &mut R, place: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
    match deadline {
        Some(deadline) => timeout_at(deadline, from.read(place)).await.map_err(slow)?,
        None => from.read(place).await,
    }
}

fn slow(_: tokio::time::error::Elapsed) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "a request did not come whole")
}
