//! What consumers of the classic protocol say and are told among themselves: the topics that one wants and what it has,
//! and what the leader gives it. The server reads it to know whose offsets are in use, and while members of both
//! protocols are in one group.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The version of assignments that are written; clients of all versions read it.
const ASSIGNMENT_VERSION: i16 = 0;
/// The first version of subscriptions that says what a member has.
const OWNED_FROM_VERSION: i16 = 1;

/// What a consumer says when it joins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Subscription {
    /// The topics that it wants.
    pub topics: Vec<String>,
    /// The partitions that it has.
    pub owned: Vec<(String, i32)>,
}

/// The topics in a consumer's subscription, whatever comes behind them; none where the bytes are not one.
pub(super) fn topics(mut metadata: &[u8]) -> Vec<String> {
    head(&mut metadata).map(|(_, topics)| topics).unwrap_or_default()
}

/// Version, 16 bits; topics, a count of 32 bits and strings with lengths of 16; the user's bytes; from version 1 on the
/// partitions that it has. Later versions say more behind that.
pub(super) fn read(mut bytes: &[u8]) -> Option<Subscription> {
    let (version, topics) = head(&mut bytes)?;
    let owned = match version {
        ..OWNED_FROM_VERSION => Vec::new(),
        _ => {
            user_bytes(&mut bytes)?;
            places(&mut bytes)?
        }
    };
    Some(Subscription { topics, owned })
}

fn head(bytes: &mut &[u8]) -> Option<(i16, Vec<String>)> {
    let version = bytes.try_get_i16().ok()?;
    let mut topics = Vec::new();
    for _ in 0..count(bytes)? {
        topics.push(string(bytes)?);
    }
    Some((version, topics))
}

/// The partitions in an assignment; no bytes are none.
pub(super) fn read_assignment(mut bytes: &[u8]) -> Option<Vec<(String, i32)>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    bytes.try_get_i16().ok()?;
    places(&mut bytes)
}

/// An assignment of partitions, by topic.
pub(super) fn write_assignment<'a>(topics: impl ExactSizeIterator<Item = (&'a str, Vec<i32>)>) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(ASSIGNMENT_VERSION);
    bytes.put_i32(i32::try_from(topics.len()).unwrap_or(i32::MAX));
    for (topic, partitions) in topics {
        bytes.put_i16(i16::try_from(topic.len()).unwrap_or(i16::MAX));
        bytes.put_slice(topic.as_bytes());
        bytes.put_i32(i32::try_from(partitions.len()).unwrap_or(i32::MAX));
        partitions.into_iter().for_each(|partition| bytes.put_i32(partition));
    }
    // No bytes of a user.
    bytes.put_i32(-1);
    bytes.freeze()
}

/// Topics, each with its partitions.
fn places(bytes: &mut &[u8]) -> Option<Vec<(String, i32)>> {
    let mut places = Vec::new();
    for _ in 0..count(bytes)? {
        let topic = string(bytes)?;
        for _ in 0..count(bytes)? {
            places.push((topic.clone(), bytes.try_get_i32().ok()?));
        }
    }
    Some(places)
}

fn count(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(bytes.try_get_i32().ok()?).ok()
}

fn string(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(bytes.try_get_i16().ok()?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

/// Step over them; a length of -1 is none.
fn user_bytes(bytes: &mut &[u8]) -> Option<()> {
    let length = usize::try_from(bytes.try_get_i32().ok()?.max(0)).ok()?;
    *bytes = bytes.get(length..)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_or_none() {
        let check = |bytes: &[u8], expect: &[&str]| assert_eq!(topics(bytes), expect);
        check(&[0, 0, 0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 9, 9], &["a", "bc"]);
        check(&[0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 1, b'a'], &[]);
        check(&[], &[]);
    }

    #[test]
    fn what_a_member_has() {
        let head = [0, 1, 0, 0, 0, 1, 0, 1, b'a'];
        let check = |rest: &[u8], expect: Option<&[i32]>| {
            let owned = read(&[&head, rest].concat()).map(|subscription| subscription.owned);
            let expect = expect.map(|parts| parts.iter().map(|part| ("a".to_owned(), *part)).collect::<Vec<_>>());
            assert_eq!(owned, expect, "{rest:?}");
        };
        let owned = [0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3];
        check(&[&[0xff, 0xff, 0xff, 0xff][..], &owned].concat(), Some(&[0, 3]));
        check(&[&[0, 0, 0, 2, 7, 7][..], &owned, &[0, 0, 0, 9]].concat(), Some(&[0, 3]));
        check(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], Some(&[]));
        check(&[0, 0, 0, 9, 7], None);
        check(&[0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff], None);
    }

    #[test]
    fn assignments_are_read_as_they_are_written() {
        let written = write_assignment([("a", vec![0, 2]), ("b", vec![1])].into_iter());
        let expect = [("a", 0), ("a", 2), ("b", 1)].map(|(topic, part)| (topic.to_owned(), part));
        assert_eq!(read_assignment(&written), Some(expect.to_vec()));
        assert_eq!(read_assignment(&[]), Some(Vec::new()));
        assert_eq!(read_assignment(&[0]), None);
    }
}
