//! What a fetch brought → what a read-committed reader may see of it. A pure function of the answer.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use kafka_protocol::messages::fetch_response::AbortedTransaction;
use recordlog::{
    LogError, Offset, StoredBatch, TopicPartition,
    batch::{Batch, BatchError, BatchHeader, batch_length},
};

/// What an answer holds for one place.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Sound batches of committed records, in order.
    pub batches: Vec<StoredBatch>,
    /// From where to fetch next: behind everything that was looked at, visible or not.
    pub next: Offset,
    /// What ended the look early.
    pub damage: Option<LogError>,
}

/// How much of an answer is worth looking at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// The offset that was asked for.
    pub from: Offset,
    /// Whether checksums are to be compared.
    pub verify: bool,
}

/// Take whole batches from `from` on out of `records`, leaving out marks and what belongs to `aborted` transactions.
pub(super) fn committed(
    partition: &TopicPartition,
    look: Look,
    records: &Bytes,
    aborted: &[AbortedTransaction],
) -> Seen {
    let mut seen = Seen { next: look.from, ..Seen::default() };
    let mut open = Aborted::new(aborted);
    let mut at = 0;
    // A broker cuts its answer off where its bound is, inside a batch if need be.
    while let Some(bytes) = next_batch(records, at) {
        at += bytes.len();
        let header = match sound(&bytes, look.verify) {
            Ok(header) => header,
            Err(error) => {
                let offset = bytes.first_chunk().map_or(seen.next, |offset| i64::from_be_bytes(*offset));
                seen.damage = Some(LogError::Corrupt { partition: partition.clone(), offset, what: words_of(&error) });
                return seen;
            }
        };
        let is_aborted = open.covers(&header, &bytes);
        if header.next_offset() <= seen.next {
            continue;
        }
        seen.next = header.next_offset();
        if !header.is_control() && !is_aborted && header.record_count > 0 {
            let (base_offset, next_offset) = (header.base_offset, header.next_offset());
            seen.batches.push(StoredBatch { base_offset, next_offset, arrival: 0, bytes });
        }
    }
    seen
}

fn next_batch(records: &Bytes, at: usize) -> Option<Bytes> {
    let length = batch_length(records.get(at..)?)?;
    let end = at.checked_add(length).filter(|end| *end <= records.len())?;
    Some(records.slice(at..end))
}

fn sound(bytes: &[u8], verify: bool) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::parse(bytes)?;
    if verify {
        header.verify(bytes)?;
    }
    Ok(header)
}

fn words_of(error: &BatchError) -> String {
    match error {
        BatchError::Magic(magic @ (0 | 1)) => {
            format!("its records have format {magic}, of before Kafka 0.11, which is not read: copy the topic")
        }
        other => other.to_string(),
    }
}

/// Which producers' transactions are under way that will have been aborted, batch by batch.
struct Aborted {
    /// First offset and producer of those to come, by offset.
    coming: VecDeque<(Offset, i64)>,
    producers: BTreeSet<i64>,
}

impl Aborted {
    fn new(aborted: &[AbortedTransaction]) -> Aborted {
        let mut coming: Vec<_> = aborted.iter().map(|one| (one.first_offset, one.producer_id.0)).collect();
        coming.sort_unstable();
        Aborted { coming: coming.into(), producers: BTreeSet::new() }
    }

    /// Whether the next batch belongs to an aborted transaction. Its mark ends it.
    fn covers(&mut self, header: &BatchHeader, bytes: &[u8]) -> bool {
        while let Some((_, producer)) = self.coming.pop_front_if(|(first, _)| *first < header.next_offset()) {
            self.producers.insert(producer);
        }
        if header.is_control() && is_abort(bytes) {
            self.producers.remove(&header.producer_id);
        }
        header.is_transactional() && self.producers.contains(&header.producer_id)
    }
}

/// Whether a control batch says that a transaction was aborted: its record's key is a version and a kind, 0 for that.
fn is_abort(bytes: &[u8]) -> bool {
    let Ok(batch) = Batch::parse_verified(bytes) else { return false };
    let Some(Ok(record)) = batch.records().next() else { return false };
    record.key.and_then(|key| key.get(2..4)) == Some(&[0, 0])
}

#[cfg(test)]
mod tests {
    use recordlog::batch::{BatchBuilder, Compression};

    use super::*;

    /// A batch of `count` records of a producer; negative: in a transaction.
    fn batch(base: Offset, count: usize, producer: i64) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        builder.set_base_offset(base);
        if producer != 0 {
            builder.set_producer(producer.abs(), 0, 0);
            builder.set_transactional(producer < 0);
        }
        for i in 0..count {
            builder.push(None, Some(format!("{}", base + i64::try_from(i).unwrap()).as_bytes()), 5, &[]).unwrap();
        }
        builder.finish(Compression::None).unwrap().to_vec()
    }

    /// The mark that ends a producer's transaction.
    fn mark(at: Offset, producer: i64, is_commit: bool) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        builder.set_base_offset(at);
        builder.set_producer(producer, 0, -1);
        builder.set_transactional(true);
        builder.set_control(true);
        builder.push(Some(&[0, 0, 0, u8::from(is_commit)]), Some(&[0; 6]), 5, &[]).unwrap();
        builder.finish(Compression::None).unwrap().to_vec()
    }

    fn look(from: Offset, records: &[Vec<u8>], aborted: &[(i64, Offset)]) -> Seen {
        let aborted: Vec<_> = aborted
            .iter()
            .map(|(producer, first)| {
                AbortedTransaction::default().with_producer_id((*producer).into()).with_first_offset(*first)
            })
            .collect();
        let look = Look { from, verify: true };
        committed(&TopicPartition::new("t", 0), look, &records.concat().into(), &aborted)
    }

    fn places(seen: &Seen) -> Vec<(Offset, Offset)> {
        seen.batches.iter().map(|batch| (batch.base_offset, batch.next_offset)).collect()
    }

    #[test]
    fn batches_pass_as_they_are() {
        let (first, second) = (batch(3, 2, 0), batch(5, 4, 7));
        let seen = look(3, &[first.clone(), second.clone()], &[]);
        assert_eq!(places(&seen), [(3, 5), (5, 9)]);
        assert!(seen.next == 9 && seen.damage.is_none(), "{seen:?}");
        assert_eq!(seen.batches.iter().map(|b| b.bytes.to_vec()).collect::<Vec<_>>(), [first, second]);
    }

    #[test]
    fn what_is_before_the_place_or_cut_off_is_not_there() {
        let mut records = [batch(0, 3, 0), batch(3, 3, 0), batch(6, 3, 0)];
        let cut = records[2].len() - 1;
        records[2].truncate(cut);
        let seen = look(4, &records, &[]);
        assert_eq!((places(&seen), seen.next), (vec![(3, 6)], 6));
        let seen = look(4, &[], &[]);
        assert_eq!((places(&seen), seen.next), (vec![], 4));
    }

    #[test]
    fn only_committed_records_are_seen() {
        // Producer 1 aborts, then commits; 2 commits beside it; 3 writes outside of transactions.
        let records = [
            batch(0, 2, -1),
            batch(2, 1, -2),
            batch(3, 1, 3),
            mark(4, 1, false),
            batch(5, 2, -1),
            mark(7, 2, true),
            mark(8, 1, true),
        ];
        let seen = look(0, &records, &[(1, 0)]);
        assert_eq!((places(&seen), seen.next), (vec![(2, 3), (3, 4), (5, 7)], 9));
        // The transaction began before what is looked at.
        let seen = look(1, &records, &[(1, 0)]);
        assert_eq!(places(&seen), [(2, 3), (3, 4), (5, 7)]);
        // Again aborted, by the same producer.
        let again = [batch(0, 1, -1), mark(1, 1, false), batch(2, 1, -1), mark(3, 1, false), batch(4, 1, -1)];
        let seen = look(0, &again, &[(1, 2), (1, 0)]);
        assert_eq!((places(&seen), seen.next), (vec![(4, 5)], 5));
    }

    #[test]
    fn damage_is_named_and_what_is_before_it_is_kept() {
        let mut damaged = batch(2, 2, 0);
        *damaged.last_mut().unwrap() ^= 1;
        let seen = look(0, &[batch(0, 2, 0), damaged, batch(4, 2, 0)], &[]);
        assert_eq!((places(&seen), seen.next), (vec![(0, 2)], 2));
        assert!(matches!(seen.damage, Some(LogError::Corrupt { offset: 2, .. })), "{:?}", seen.damage);
        let mut old = batch(0, 1, 0);
        old[16] = 1;
        let damage = look(0, &[old], &[]).damage.unwrap().to_string();
        assert!(damage.contains("format 1") && damage.contains("t-0"), "{damage}");
    }
}
