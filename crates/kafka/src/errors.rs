//! librdkafka's errors → the log's: each names what it was about and what was said.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use recordlog::LogError;

/// What a code says, without the number that librdkafka prints with it.
pub(crate) fn words(code: RDKafkaErrorCode) -> String {
    let text = code.to_string();
    match text.split_once(" (") {
        Some((_, rest)) => rest.strip_suffix(')').unwrap_or(rest).to_owned(),
        None => text,
    }
}

/// Whether trying again later may do.
pub(crate) fn is_transient(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::*;
    matches!(
        code,
        AllBrokersDown
            | BrokerTransportFailure
            | MessageTimedOut
            | OperationTimedOut
            | RequestTimedOut
            | TimedOutQueue
            | LeaderNotAvailable
            | NotLeaderForPartition
            | BrokerNotAvailable
            | ReplicaNotAvailable
            | NetworkException
            | CoordinatorLoadInProgress
            | CoordinatorNotAvailable
            | NotCoordinator
            | NotEnoughReplicas
            | NotEnoughReplicasAfterAppend
            | NotController
            | WaitingForCoordinator
            | Resolve
            | QueueFull
            | BrokerDestroy
            | DestroyBroker
            | OffsetNotAvailable
            | FencedLeaderEpoch
            | UnknownLeaderEpoch
            | KafkaStorageError
    )
}

/// What the cluster said about `topic` when asked to do `what`.
pub(crate) fn of_topic(topic: &str, what: &str, code: RDKafkaErrorCode) -> LogError {
    match code {
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
            LogError::UnknownTopic(topic.to_owned())
        }
        RDKafkaErrorCode::TopicAlreadyExists => LogError::TopicExists(topic.to_owned()),
        code => of_code(&format!("topic {topic}: {what}"), code),
    }
}

/// What the cluster said when asked for `what`.
pub(crate) fn of_code(what: &str, code: RDKafkaErrorCode) -> LogError {
    let text = format!("{what}: {}", words(code));
    if is_transient(code) { LogError::Unavailable(text) } else { LogError::Invalid(text) }
}

/// What librdkafka said when asked for `what`.
pub(crate) fn of(what: &str, error: &KafkaError) -> LogError {
    match error.rdkafka_error_code() {
        Some(code) => of_code(what, code),
        None => LogError::Invalid(format!("{what}: {error}")),
    }
}
