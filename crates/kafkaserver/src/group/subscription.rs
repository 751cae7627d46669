//! What a consumer says when it joins: the topics that it wants. Only those are looked at.

use bytes::Buf;

/// The topics in a consumer's subscription; none where the bytes are not one.
pub(super) fn topics(metadata: &[u8]) -> Vec<String> {
    read(metadata).unwrap_or_default()
}

/// Version, 16 bits; topics, a count of 32 bits and strings with lengths of 16.
fn read(mut bytes: &[u8]) -> Option<Vec<String>> {
    bytes.try_get_i16().ok()?;
    let count = usize::try_from(bytes.try_get_i32().ok()?).ok()?;
    let mut topics = Vec::new();
    for _ in 0..count {
        let length = usize::try_from(bytes.try_get_i16().ok()?).ok()?;
        let (name, rest) = bytes.split_at_checked(length)?;
        topics.push(String::from_utf8(name.to_vec()).ok()?);
        bytes = rest;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_or_none() {
        let check = |bytes: &[u8], expect: &[&str]| assert_eq!(topics(bytes), expect);
        check(&[0, 1, 0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 9, 9], &["a", "bc"]);
        check(&[0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 1, b'a'], &[]);
        check(&[], &[]);
    }
}
