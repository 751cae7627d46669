//! The shape of a request: enough of its definition to step over it without keeping anything.
//!
//! A count on the wire may say two billion where twenty bytes follow. Walking the shape first refuses such a request
//! before anyone reserves memory for it, and bounds how many elements a request may have altogether.

use bytes::Buf;

/// Most array elements and tagged fields in one request. Each takes up to [`ELEMENT_BYTES`] when decoded.
pub(crate) const ELEMENTS_MAX: usize = 500_000;
/// About what an element takes when it is decoded, with its part of the answer.
pub(crate) const ELEMENT_BYTES: usize = 256;

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A string, perhaps null.
    Text,
    /// Bytes, perhaps null.
    Blob,
    /// An array of something that is no structure, perhaps null.
    List(&'static Kind),
    /// An array of structures, perhaps null.
    Array(&'static [Field]),
    /// A structure, perhaps absent.
    Maybe(&'static [Field]),
}

/// A field, and the versions that have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    first: i16,
    last: i16,
    kind: Kind,
}

/// A field of all versions.
pub(crate) const fn all(kind: Kind) -> Field {
    Field { first: 0, last: i16::MAX, kind }
}

/// A field of the versions from `first` on.
pub(crate) const fn from(first: i16, kind: Kind) -> Field {
    Field { first, last: i16::MAX, kind }
}

/// A field of the versions from `first` to `last`.
pub(crate) const fn between(first: i16, last: i16, kind: Kind) -> Field {
    Field { first, last, kind }
}

/// Why a request does not have its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misshapen {
    /// It ends too early.
    #[error("it ends inside a field")]
    CutOff,
    /// A length or count that cannot be.
    #[error("a length of {0} is not possible")]
    Length(i64),
    /// Over [`ELEMENTS_MAX`].
    #[error("it has more than {ELEMENTS_MAX} elements")]
    TooMany,
}

/// Check that `body` begins with a request of this shape; how many elements its arrays have.
pub(crate) fn check(fields: &[Field], version: i16, flexible: bool, body: &[u8]) -> Result<usize, Misshapen> {
    let mut walk = Walk { rest: body, version, flexible, elements: 0 };
    walk.structure(fields)?;
    Ok(walk.elements)
}

/// Step over tagged fields.
pub(crate) fn check_tags(rest: &mut &[u8]) -> Result<(), Misshapen> {
    let mut walk = Walk { rest, version: 0, flexible: true, elements: 0 };
    walk.structure(&[])?;
    *rest = walk.rest;
    Ok(())
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    fn structure(&mut self, fields: &[Field]) -> Result<(), Misshapen> {
        for field in fields {
            if (field.first..=field.last).contains(&self.version) {
                self.field(field.kind)?;
            }
        }
        if self.flexible {
            for _ in 0..self.varint()? {
                self.elements += 1;
                if self.elements > ELEMENTS_MAX {
                    return Err(Misshapen::TooMany);
                }
                self.varint()?;
                let length = self.varint()?;
                self.skip(usize::try_from(length).map_err(|_| Misshapen::Length(i64::from(length)))?)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, kind: Kind) -> Result<(), Misshapen> {
        match kind {
            Kind::Fixed(bytes) => self.skip(bytes),
            Kind::Text => {
                let length = if self.flexible { self.compact_length()? } else { i64::from(self.i16()?) };
                self.skip_run(length)
            }
            Kind::Blob => {
                let length = self.length()?;
                self.skip_run(length)
            }
            Kind::List(element) => {
                for _ in 0..self.count()? {
                    self.field(*element)?;
                }
                Ok(())
            }
            Kind::Array(fields) => {
                for _ in 0..self.count()? {
                    self.structure(fields)?;
                }
                Ok(())
            }
            Kind::Maybe(fields) => match self.rest.try_get_i8().map_err(|_| Misshapen::CutOff)? {
                1 => self.structure(fields),
                _ => Ok(()),
            },
        }
    }

    /// How many elements follow; there are bytes for them.
    fn count(&mut self) -> Result<usize, Misshapen> {
        let length = self.length()?;
        if length < 0 {
            return if length == -1 { Ok(0) } else { Err(Misshapen::Length(length)) };
        }
        let count = usize::try_from(length).map_err(|_| Misshapen::Length(length))?;
        if count > self.rest.len() {
            return Err(Misshapen::CutOff);
        }
        self.elements = self.elements.saturating_add(count);
        if self.elements > ELEMENTS_MAX { Err(Misshapen::TooMany) } else { Ok(count) }
    }

    fn length(&mut self) -> Result<i64, Misshapen> {
        if self.flexible { self.compact_length() } else { Ok(i64::from(self.i32()?)) }
    }

    /// -1 for null.
    fn compact_length(&mut self) -> Result<i64, Misshapen> {
        Ok(i64::from(self.varint()?) - 1)
    }

    fn skip_run(&mut self, length: i64) -> Result<(), Misshapen> {
        match length {
            -1 => Ok(()),
            length => self.skip(usize::try_from(length).map_err(|_| Misshapen::Length(length))?),
        }
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Misshapen> {
        self.rest = self.rest.get(bytes..).ok_or(Misshapen::CutOff)?;
        Ok(())
    }

    fn i16(&mut self) -> Result<i16, Misshapen> {
        self.rest.try_get_i16().map_err(|_| Misshapen::CutOff)
    }

    fn i32(&mut self) -> Result<i32, Misshapen> {
        self.rest.try_get_i32().map_err(|_| Misshapen::CutOff)
    }

    /// Seven bits a byte, the lowest first, at most five bytes.
    fn varint(&mut self) -> Result<u32, Misshapen> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.rest.try_get_u8().map_err(|_| Misshapen::CutOff)?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Misshapen::Length(i64::from(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind::*, *};

    const FIELDS: &[Field] = &[all(Text), from(2, Fixed(4)), all(Array(&[all(Fixed(2)), all(List(&Text))]))];

    fn check(version: i16, flexible: bool, bytes: &[u8], expect: Result<usize, Misshapen>) {
        assert_eq!(super::check(FIELDS, version, flexible, bytes), expect, "{bytes:?}");
    }

    #[test]
    fn requests_are_walked_without_trust() {
        check(1, false, &[0, 1, b'a', 0, 0, 0, 1, 9, 9, 0, 0, 0, 1, 0, 0], Ok(2));
        check(2, false, &[0xff, 0xff, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff], Ok(0));
        check(2, false, &[0xff, 0xff, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff], Err(Misshapen::CutOff));
        check(1, false, &[0xff, 0xfe, 0], Err(Misshapen::Length(-2)));
        check(1, false, &[0, 0, 0xff, 0xff, 0xff, 0xf0], Err(Misshapen::Length(-16)));
        check(1, true, &[2, b'a', 2, 9, 9, 2, 1, 0, 1, 0, 1, 7], Ok(3));
        check(1, true, &[2, b'a', 0xff, 0xff, 0xff, 0xff, 0x0f], Err(Misshapen::CutOff));
        check(1, true, &[2, b'a', 0xff, 0xff, 0xff, 0xff, 0xff], Err(Misshapen::Length(i64::from(u32::MAX))));
        check(1, true, &[], Err(Misshapen::CutOff));
    }
}
