//! Where partitions begin and end, as the cluster says: asked for over a client that fetches nothing, since an answer
//! on a fetching connection waits for the fetch before it.

use std::time::Duration;

use host::Host;
use rdkafka::{Offset as At, TopicPartitionList, consumer::Consumer, error::RDKafkaErrorCode};
use recordlog::{LogError, Offset, Result, TopicPartition};

use crate::{client::Health, errors, look_again::look_again, native::Client};

/// Longest that the cluster is waited for when it is asked.
pub(crate) const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// One try: a broker that is gone does not answer, and another one may have what it led.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// First and longest pause between two.
const TRY_PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

/// One who asks.
pub(crate) struct Asking<'a> {
    pub client: &'a Client,
    pub health: &'a Health,
    pub host: &'a Host,
}

/// What is known about a partition's ends.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Known {
    /// First offset and when it was asked for.
    pub start: Option<(Offset, Duration)>,
    /// Last stable offset and when it was asked for.
    pub end: Option<(Offset, Duration)>,
    /// The furthest end that a reader was told: nothing before it may be passed over for want of an answer.
    pub told: Offset,
    /// One past the last record that this process has written there: the end is at least there, or soon will be.
    pub written: Offset,
}

/// Which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The first offset held.
    Start,
    /// One past the last record that a read-committed reader may see.
    End,
}

/// Ask for one end of some partitions, in their order.
pub(crate) fn ask(asking: &Asking<'_>, partitions: &[TopicPartition], which: Which) -> Result<Vec<Result<Offset>>> {
    let at = if which == Which::Start { At::Beginning } else { At::End };
    let answers = ask_at(asking, partitions, at)?;
    Ok(answers.into_iter().map(|answer| answer.map(|offset| offset.unwrap_or(0))).collect())
}

/// Ask for the first offset whose record is at or after `time_ms`.
pub(crate) fn ask_time(asking: &Asking<'_>, partition: &TopicPartition, time_ms: i64) -> Result<Option<Offset>> {
    // Times below 0 have meanings of their own.
    let answers = ask_at(asking, std::slice::from_ref(partition), At::Offset(time_ms.max(0)))?;
    answers.into_iter().next().unwrap_or(Ok(None))
}

/// Ask, again and again while partitions have no leader or theirs does not answer: those of a topic just made, and those
/// that a broker led that is gone.
fn ask_at(asking: &Asking<'_>, partitions: &[TopicPartition], at: At) -> Result<Vec<Result<Option<Offset>>>> {
    let clock = &asking.host.clock;
    let (begun, mut pause) = (clock.monotonic(), TRY_PAUSE.0);
    loop {
        let answers = ask_once(asking.client, asking.health, partitions, at);
        let is_known = match &answers {
            Ok(answers) => !answers.iter().any(|answer| answer.as_ref().is_err_and(is_stale)),
            Err(error) => !is_stale(error),
        };
        if is_known
            || clock.monotonic().saturating_sub(begun) > ASK_TIMEOUT
            || !look_again(asking.client.client(), partitions)
        {
            return answers;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(TRY_PAUSE.1);
    }
}

/// Whether that may come of old news.
fn is_stale(error: &LogError) -> bool {
    matches!(error, LogError::Unavailable(_) | LogError::UnknownTopic(_) | LogError::UnknownPartition(_))
}

fn ask_once(
    client: &Client,
    health: &Health,
    partitions: &[TopicPartition],
    at: At,
) -> Result<Vec<Result<Option<Offset>>>> {
    let Some(first) = partitions.first() else { return Ok(vec![]) };
    let what = || match partitions.len() {
        1 => format!("asking for the ends of {first}"),
        n => format!("asking for the ends of {first} and {} more", n - 1),
    };
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition_offset(&partition.topic, number(partition)?, at).map_err(|e| errors::of(&what(), &e))?;
    }
    let answer = match client.offsets_for_times(list, TRY_TIMEOUT) {
        Ok(answer) => answer,
        Err(error) => {
            let code = error.rdkafka_error_code();
            if let Some(code @ (RDKafkaErrorCode::NotLeaderForPartition | RDKafkaErrorCode::LeaderNotAvailable)) = code
            {
                return Ok(partitions.iter().map(|_| Err(errors::of_code(&what(), code))).collect());
            }
            return Err(match code {
                Some(code @ (RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {
                    errors::of_topic(&first.topic, "asking for its ends", code)
                }
                Some(RDKafkaErrorCode::UnknownPartition) => LogError::UnknownPartition(first.clone()),
                _ => with_words(errors::of(&what(), &error), health),
            });
        }
    };
    health.answered();
    let elements = answer.elements();
    // librdkafka writes the answers into the list that it was given.
    let of = |(at, partition): (usize, &TopicPartition)| -> Result<Option<Offset>> {
        let found = elements.get(at).ok_or_else(|| LogError::UnknownPartition(partition.clone()))?;
        if let Err(error) = found.error() {
            return Err(match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownPartition) => {
                    LogError::UnknownPartition(partition.clone())
                }
                _ => errors::of(&format!("asking for the ends of {partition}"), &error),
            });
        }
        Ok(found.offset().to_raw().filter(|offset| *offset >= 0))
    };
    Ok(partitions.iter().enumerate().map(of).collect())
}

/// What librdkafka said about the connection, behind what failed for want of one.
pub(crate) fn with_words(error: LogError, health: &Health) -> LogError {
    match error {
        LogError::Unavailable(text) if health.is_down() => LogError::Unavailable(format!("{text}: {}", health.words())),
        error => error,
    }
}

/// A partition's number as Kafka counts.
pub(crate) fn number(partition: &TopicPartition) -> Result<i32> {
    i32::try_from(partition.partition).map_err(|_| LogError::UnknownPartition(partition.clone()))
}
