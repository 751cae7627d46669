//! SaslHandshake: which mechanism a client wants to say with who it is.

use kafka_protocol::{
    error::ResponseError,
    messages::{SaslHandshakeRequest, SaslHandshakeResponse},
    protocol::StrBytes,
};

use super::{Api, Reply};
use crate::{
    auth::{Exchange, MECHANISMS},
    call::Call,
    wire::shape::{Field, Kind::Text, all},
};

/// The first version after which tokens come in requests of their own, SaslAuthenticate; before, as frames without a
/// header.
const FRAMED_FROM_VERSION: i16 = 1;

/// See the module.
pub(crate) struct SaslHandshake;

impl Api for SaslHandshake {
    type Request = SaslHandshakeRequest;
    type Response = SaslHandshakeResponse;
    const KEY: i16 = 17;
    const VERSIONS: (i16, i16) = (0, 1);
    const FIELDS: &'static [Field] = &[all(Text)];

    async fn handle(call: &Call, request: SaslHandshakeRequest) -> Reply<SaslHandshakeResponse> {
        let random = &call.broker.log.host().random;
        let nonce = format!("{:032x}{:032x}", random.next_u128(), random.next_u128());
        let error = match Exchange::begin(&request.mechanism, nonce) {
            Some(exchange) => match call.connection.begin(exchange, call.version() < FRAMED_FROM_VERSION) {
                true => 0,
                false => ResponseError::IllegalSaslState.code(),
            },
            None => ResponseError::UnsupportedSaslMechanism.code(),
        };
        let mechanisms = MECHANISMS.iter().copied().map(StrBytes::from_static_str).collect();
        Reply::from(SaslHandshakeResponse::default().with_error_code(error).with_mechanisms(mechanisms))
    }
}
