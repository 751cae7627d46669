//! SaslAuthenticate: a token of the exchange that SaslHandshake began.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use kafka_protocol::{
    error::ResponseError,
    messages::{SaslAuthenticateRequest, SaslAuthenticateResponse},
};

use super::{Api, Reply};
use crate::{
    auth::{Connection, Progress},
    broker::Broker,
    call::{Call, text},
    error::Refused,
    wire::shape::{Field, Kind::Blob, all},
};

/// Who fails waits so long before it hears of it: guessing passwords takes its time.
const FAILED_WAIT: Duration = Duration::from_millis(100);

/// A step of an exchange whose tokens come without a header, and the frame that answers it.
pub(super) async fn step_raw(broker: &Broker, connection: &Connection, token: &[u8]) -> Result<BytesMut, Refused> {
    let reply = match connection.step(&broker.auth, token) {
        Some(progress) if progress != Progress::Failed => progress.reply(),
        _ => {
            tokio::time::sleep(FAILED_WAIT).await;
            return Err(Refused::Stranger(SaslAuthenticate::KEY));
        }
    };
    let length = u32::try_from(reply.len()).map_err(|error| Refused::Unanswerable(error.to_string()))?;
    let mut frame = BytesMut::with_capacity(reply.len() + 4);
    frame.put_u32(length);
    frame.put_slice(&reply);
    Ok(frame)
}

/// See the module.
pub(crate) struct SaslAuthenticate;

impl Api for SaslAuthenticate {
    type Request = SaslAuthenticateRequest;
    type Response = SaslAuthenticateResponse;
    const KEY: i16 = 36;
    const VERSIONS: (i16, i16) = (0, 2);
    const FIELDS: &'static [Field] = &[all(Blob)];

    async fn handle(call: &Call, request: SaslAuthenticateRequest) -> Reply<SaslAuthenticateResponse> {
        let response = SaslAuthenticateResponse::default().with_error_message(None);
        let refused = |error: ResponseError, message: &str| {
            response.clone().with_error_code(error.code()).with_error_message(Some(text(message)))
        };
        Reply::from(match call.connection.step(&call.broker.auth, &request.auth_bytes) {
            None => refused(ResponseError::IllegalSaslState, "SaslHandshake comes first"),
            Some(Progress::Failed) => {
                tracing::warn!(peer = %call.connection.peer, "a Kafka client failed to say who it is");
                tokio::time::sleep(FAILED_WAIT).await;
                refused(ResponseError::SaslAuthenticationFailed, "name or password is wrong")
            }
            Some(progress) => response.with_auth_bytes(progress.reply()),
        })
    }
}
