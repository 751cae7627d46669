//! The encodings of bytes as text: hex, utf8, ascii, base64.

use base64::{Engine, prelude::BASE64_STANDARD};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Hex,
    Utf8,
    Ascii,
    Base64,
}

impl Encoding {
    /// The encoding of that name, in whatever case.
    pub(super) fn parse(name: &str) -> Result<Encoding, String> {
        match name.to_ascii_lowercase().as_str() {
            "hex" => Ok(Encoding::Hex),
            "utf8" => Ok(Encoding::Utf8),
            "ascii" => Ok(Encoding::Ascii),
            "base64" => Ok(Encoding::Base64),
            _ => Err(format!("'{name}' is no encoding: expected hex, utf8, ascii or base64")),
        }
    }

    /// The bytes that `text` stands for. What ASCII does not have is `?`; hexadecimal digits may be written as `0x…`
    /// or `X'…'`.
    pub(super) fn decode(self, text: &str) -> Result<Vec<u8>, String> {
        match self {
            Encoding::Hex => unhex(text).ok_or_else(|| format!("'{text}' is not hexadecimal")),
            Encoding::Utf8 => Ok(text.as_bytes().to_vec()),
            Encoding::Ascii => {
                Ok(text.chars().map(|c| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?')).collect())
            }
            Encoding::Base64 => BASE64_STANDARD.decode(text).map_err(|e| format!("'{text}' is not base64: {e}")),
        }
    }

    /// The text that stands for `bytes`. What is no UTF-8 or ASCII becomes U+FFFD.
    pub(super) fn encode(self, bytes: &[u8], upper: bool) -> String {
        match self {
            Encoding::Hex => hex(bytes, upper),
            Encoding::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Encoding::Ascii => bytes.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '\u{fffd}' }).collect(),
            Encoding::Base64 => BASE64_STANDARD.encode(bytes),
        }
    }
}

/// Two hexadecimal digits a byte.
pub(in crate::scalar) fn hex(bytes: &[u8], upper: bool) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            out.push(if upper { digit.to_ascii_uppercase() } else { digit });
        }
    }
    out
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let quoted = text.strip_prefix(['x', 'X']).and_then(|t| t.strip_prefix('\'')).and_then(|t| t.strip_suffix('\''));
    let digits = quoted.or_else(|| text.strip_prefix("0x")).or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let nibble = |c: &u8| char::from(*c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| if let [a, b] = pair { Some(nibble(a)? << 4 | nibble(b)?) } else { None })
        .collect()
}
