//! Keys as bytes; short ones, which most are, without an allocation of their own.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    ops::Deref,
};

/// Keys of up to so many bytes lie in place: the most that does not make the whole larger. Enough for a BIGINT and a
/// window, or a text of 19 bytes.
const SHORT_BYTES_MAX: usize = 22;

/// Bytes that do not change.
#[derive(Clone)]
pub(crate) enum KeyBytes {
    /// In place.
    Short(u8, [u8; SHORT_BYTES_MAX]),
    /// Elsewhere.
    Long(Box<[u8]>),
}

impl KeyBytes {
    /// Bytes outside of the value itself.
    pub fn heap_bytes(&self) -> usize {
        match self {
            KeyBytes::Short(..) => 0,
            KeyBytes::Long(bytes) => bytes.len(),
        }
    }
}

impl Default for KeyBytes {
    fn default() -> KeyBytes {
        KeyBytes::Short(0, [0; SHORT_BYTES_MAX])
    }
}

impl From<&[u8]> for KeyBytes {
    fn from(bytes: &[u8]) -> KeyBytes {
        let mut short = [0; SHORT_BYTES_MAX];
        match (short.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(bytes);
                KeyBytes::Short(length, short)
            }
            _ => KeyBytes::Long(bytes.into()),
        }
    }
}

impl Deref for KeyBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            KeyBytes::Short(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or(bytes),
            KeyBytes::Long(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for KeyBytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl Hash for KeyBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        <[u8]>::hash(self, state);
    }
}

impl PartialEq for KeyBytes {
    fn eq(&self, other: &KeyBytes) -> bool {
        **self == **other
    }
}

impl Eq for KeyBytes {}

impl PartialOrd for KeyBytes {
    fn partial_cmp(&self, other: &KeyBytes) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyBytes {
    fn cmp(&self, other: &KeyBytes) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_any_length() {
        for length in 0..60u8 {
            let bytes: Vec<u8> = (0..length).collect();
            assert_eq!(*KeyBytes::from(&*bytes), *bytes);
        }
        assert_eq!(size_of::<KeyBytes>(), 24);
    }
}
