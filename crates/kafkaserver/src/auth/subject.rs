//! The subject of a certificate, as Kafka writes it: `CN=ann,OU=readers,O=example`.
//!
//! Only that is read. Whether the certificate is sound, and signed by whom it should be, TLS has checked before.

/// Tags of DER.
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const VERSION: u8 = 0xa0;
/// Names of parts, by their object ids (RFC 4519).
const PARTS: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
];

/// The subject of a certificate in DER, the last part first (RFC 2253); `None` where it cannot be read.
pub(super) fn of(certificate: &[u8]) -> Option<String> {
    let mut certificate = certificate;
    let mut whole = expect(&mut certificate, SEQUENCE)?;
    let mut signed = expect(&mut whole, SEQUENCE)?;
    if signed.first() == Some(&VERSION) {
        element(&mut signed)?;
    }
    // Serial number, algorithm, issuer, validity.
    for _ in 0..4 {
        element(&mut signed)?;
    }
    let mut subject = expect(&mut signed, SEQUENCE)?;
    let mut parts = Vec::new();
    while !subject.is_empty() {
        let mut set = expect(&mut subject, SET)?;
        let mut names = Vec::new();
        while !set.is_empty() {
            let mut pair = expect(&mut set, SEQUENCE)?;
            let id = expect(&mut pair, OBJECT_ID)?;
            let (tag, value) = element(&mut pair)?;
            names.push(part(id, tag, value)?);
        }
        parts.push(names.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn part(id: &[u8], tag: u8, value: &[u8]) -> Option<String> {
    let name = PARTS.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
    let text = matches!(tag, UTF8_STRING | PRINTABLE_STRING | IA5_STRING).then(|| std::str::from_utf8(value).ok());
    match (name, text.flatten()) {
        (Some(name), Some(text)) => Some(format!("{name}={}", escaped(text))),
        // A part that has no name, or is not plain text, cannot be mistaken for another.
        _ => {
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            Some(format!("{}=#{:02x}{}", hex(id), tag, hex(value)))
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (at, character) in text.chars().enumerate() {
        let at_an_end = (character == ' ' && (at == 0 || at == last)) || (character == '#' && at == 0);
        if at_an_end || matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

fn expect<'a>(from: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (found, value) = element(from)?;
    (found == tag).then_some(value)
}

/// The next element: its tag and its bytes.
fn element<'a>(from: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, rest) = from.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let length = match *first {
        short @ 0..=0x7f => usize::from(short),
        long @ 0x81..=0x84 => {
            let (bytes, behind) = rest.split_at_checked(usize::from(long & 0x7f))?;
            rest = behind;
            bytes.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte))
        }
        _ => return None,
    };
    let (value, behind) = rest.split_at_checked(length)?;
    *from = behind;
    Some((*tag, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        let length = u8::try_from(body.len()).expect("short");
        let head: Vec<u8> = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
        [head, body].concat()
    }

    fn certificate(subject: &[(&[u8], u8, &str)]) -> Vec<u8> {
        let pair = |(id, tag, text): &(&[u8], u8, &str)| {
            der(SET, &[&der(SEQUENCE, &[&der(OBJECT_ID, &[id]), &der(*tag, &[text.as_bytes()])])])
        };
        let subject: Vec<Vec<u8>> = subject.iter().map(pair).collect();
        let subject: Vec<&[u8]> = subject.iter().map(Vec::as_slice).collect();
        let empty = der(SEQUENCE, &[]);
        let version = der(VERSION, &[&der(2, &[&[2]])]);
        let signed = der(SEQUENCE, &[&version, &der(2, &[&[1]]), &empty, &empty, &empty, &der(SEQUENCE, &subject)]);
        der(SEQUENCE, &[&signed, &empty])
    }

    #[test]
    fn subjects_are_read() {
        let check = |subject: &[(&[u8], u8, &str)], expect: &str| {
            assert_eq!(of(&certificate(subject)).as_deref(), Some(expect));
        };
        let (cn, o) = (&[0x55_u8, 4, 3][..], &[0x55_u8, 4, 10][..]);
        check(&[(cn, UTF8_STRING, "ann")], "CN=ann");
        check(&[(o, PRINTABLE_STRING, "Example"), (cn, UTF8_STRING, "ann")], "CN=ann,O=Example");
        check(&[(cn, UTF8_STRING, " a,CN=root#")], "CN=\\ a\\,CN=root#");
        check(&[(&[0x55, 4, 99], UTF8_STRING, "x")], "550463=#0c78");
        check(&[(cn, 30, "x")], "550403=#1e78");
        check(&[], "");
    }

    #[test]
    fn anything_else_is_none() {
        let whole = certificate(&[(&[0x55, 4, 3], UTF8_STRING, "ann")]);
        for end in 0..whole.len() {
            assert_eq!(of(whole.get(..end).unwrap_or_default()), None);
        }
        proptest::proptest!(|(bytes: Vec<u8>)| drop(of(&bytes)));
    }
}
