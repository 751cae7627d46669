//! One client's connection: requests are taken in order and answered in order.
//!
//! Produce requests are handed to the log as they come and answered when they are durable, so that many of them share
//! one sync; every other request is worked on before the next one is read, as clients expect of a broker.

use std::{io, pin::pin, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter},
    sync::mpsc,
    time::timeout,
};
use tracing::debug;

use crate::{
    api::{self, Answer},
    auth::Connection,
    broker::Broker,
    call::Call,
    error::Refused,
    wire::{
        budget::Share,
        frame::{FRAME_BYTES_MAX, FRAME_BYTES_MAX_STRANGER, Frames, Shares},
        header::RequestHead,
    },
};

/// Most requests of one connection that wait for their answer.
const IN_FLIGHT_MAX: usize = 64;
/// A connection that is silent for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// A client that takes no bytes of its answer for this long is given up.
const WRITE_TIME_MAX: Duration = Duration::from_secs(60);
/// Small answers are gathered up to so many bytes.
const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// An answer that has its place in the order.
struct Pending {
    answer: Answer,
    /// Of the request.
    shares: Shares,
}

/// Serve the connection until either side closes it.
pub(crate) async fn run<S>(broker: Arc<Broker>, stream: S, connection: Arc<Connection>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (reading, writing) = tokio::io::split(stream);
    let (queue, answers) = mpsc::channel(IN_FLIGHT_MAX);
    let mut writer = tokio::spawn(write_answers(writing, answers));
    let read = read_requests(&broker, reading, &connection, queue);
    let result = tokio::select! {
        result = read => result,
        ended = &mut writer => return ended.unwrap_or_else(|error| Err(io::Error::other(error))),
        () = broker.stop.cancelled() => Ok(()),
    };
    // What was promised an answer gets it.
    let written = timeout(WRITE_TIME_MAX, &mut writer).await;
    writer.abort();
    result.and(written.unwrap_or(Ok(Ok(()))).unwrap_or(Ok(())))
}

async fn read_requests(
    broker: &Arc<Broker>,
    mut reading: impl AsyncRead + Unpin,
    connection: &Arc<Connection>,
    queue: mpsc::Sender<Pending>,
) -> io::Result<()> {
    let mut frames = Frames::new(&mut reading);
    let mut ahead = None;
    loop {
        let frame = match ahead.take() {
            Some(frame) => Some(frame),
            None => {
                let next = frames.next(bytes_max(connection), &broker.requests);
                match timeout(IDLE_MAX, next).await {
                    Ok(next) => next?,
                    Err(_) => return Ok(()),
                }
            }
        };
        let Some((frame, shares)) = frame else { return Ok(()) };
        let mut answering = pin!(dispatch(broker, connection, frame));
        let answered = tokio::select! {
            biased;
            answered = &mut answering => answered,
            // The client asks for more already, or it has gone and nobody waits for the answer.
            next = frames.next(bytes_max(connection), &broker.requests) => {
                ahead = next?;
                if ahead.is_none() {
                    return Ok(());
                }
                answering.await
            }
        };
        let answer = match answered {
            Ok(answer) => answer,
            Err(refused) => {
                debug!(peer = %connection.peer, %refused, "the connection is closed");
                return Ok(());
            }
        };
        if matches!(answer, Answer::Nothing) {
            continue;
        }
        if queue.send(Pending { answer, shares }).await.is_err() {
            return Ok(());
        }
    }
}

/// Longest request that is read of this client.
fn bytes_max(connection: &Connection) -> usize {
    if connection.is_known() { FRAME_BYTES_MAX } else { FRAME_BYTES_MAX_STRANGER }
}

async fn dispatch(broker: &Arc<Broker>, connection: &Arc<Connection>, mut frame: Bytes) -> Result<Answer, Refused> {
    if connection.sends_raw_token() {
        return api::serve_raw_token(broker, connection, &frame).await;
    }
    let head = RequestHead::read(&mut frame)?;
    let call = Call { broker: Arc::clone(broker), head, connection: Arc::clone(connection) };
    api::serve(call, frame).await
}

async fn write_answers(writing: impl AsyncWrite + Unpin, mut answers: mpsc::Receiver<Pending>) -> io::Result<()> {
    let mut writing = BufWriter::with_capacity(WRITE_BUFFER_BYTES, writing);
    while let Some(Pending { answer, shares }) = answers.recv().await {
        let frame = match answer {
            Answer::Now(frame, answer_share) => Some((frame, answer_share)),
            Answer::Later(later) => {
                // Who waits for the log does not keep what is already answered.
                let mut later = later;
                let ready = futures::poll!(&mut later);
                let later = match ready {
                    std::task::Poll::Ready(done) => done,
                    std::task::Poll::Pending => {
                        timed(writing.flush()).await?;
                        later.await
                    }
                };
                later.ok().map(|frame: BytesMut| (frame, Share::default()))
            }
            Answer::Nothing => continue,
        };
        let Some((frame, answer_share)) = frame else {
            return Err(io::Error::other("an answer cannot be written"));
        };
        timed(writing.write_all(&frame)).await?;
        if answers.is_empty() {
            timed(writing.flush()).await?;
        }
        drop((shares, answer_share));
    }
    timed(writing.shutdown()).await
}

async fn timed<T>(writing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let slow = |_| io::Error::new(io::ErrorKind::TimedOut, "the client takes no answer");
    timeout(WRITE_TIME_MAX, writing).await.map_err(slow)?
}
