//! What goes wrong, in Kafka's codes.

use kafka_protocol::error::ResponseError;
use recordlog::{LogError, ProducerError};

/// A request that gets no answer of its own; the connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// Its bytes are not a request.
    #[error("a malformed request: {0}")]
    Malformed(String),
    /// An API or version that is not served.
    #[error("API {key} has no version {version} here")]
    Unsupported {
        /// Which API.
        key: i16,
        /// Which version.
        version: i16,
    },
    /// The client has to say who it is first.
    #[error("API {0} before authentication")]
    Stranger(i16),
    /// An answer that this version cannot express.
    #[error("the answer cannot be written: {0}")]
    Unanswerable(String),
}

/// An error code and words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Kafka's error.
    pub error: ResponseError,
    /// For versions that carry a message.
    pub message: String,
}

impl Failure {
    /// With words.
    pub fn new(error: ResponseError, message: impl Into<String>) -> Failure {
        Failure { error, message: message.into() }
    }

    /// The code.
    pub fn code(&self) -> i16 {
        self.error.code()
    }
}

impl From<ResponseError> for Failure {
    fn from(error: ResponseError) -> Failure {
        Failure { error, message: error.to_string() }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Failure {
        let message = error.to_string();
        let error = match error {
            LogError::UnknownTopic(_) | LogError::UnknownPartition(_) => ResponseError::UnknownTopicOrPartition,
            LogError::TopicExists(_) => ResponseError::TopicAlreadyExists,
            LogError::Invalid(_) => ResponseError::InvalidRequest,
            LogError::OutOfRange { .. } => ResponseError::OffsetOutOfRange,
            LogError::Corrupt { .. } | LogError::Io { .. } => ResponseError::KafkaStorageError,
            LogError::BadBatch(_) => ResponseError::CorruptMessage,
            LogError::BatchTooLarge { .. } => ResponseError::MessageTooLarge,
            LogError::KeyMissing(_) => ResponseError::InvalidRecord,
            LogError::Producer { error, .. } => match error {
                ProducerError::Fenced { .. } => ResponseError::InvalidProducerEpoch,
                ProducerError::OutOfOrder { .. } => ResponseError::OutOfOrderSequenceNumber,
                ProducerError::InTransaction => ResponseError::InvalidTxnState,
            },
            LogError::Fenced(_) => ResponseError::InvalidProducerEpoch,
            LogError::Unavailable(_) | LogError::Closed => ResponseError::NotLeaderOrFollower,
        };
        Failure { error, message }
    }
}

/// The code of a result: 0 when it is fine.
pub(crate) fn code_of<T>(result: &Result<T, Failure>) -> i16 {
    result.as_ref().err().map_or(0, Failure::code)
}
