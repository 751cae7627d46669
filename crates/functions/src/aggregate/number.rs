//! The Arrow types that numeric aggregates compute over: wide totals for exact sums, keys for exact order.

use std::marker::PhantomData;

use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};
use types::Result;

use crate::encoded::{f64_of_order, f64_order, take};

/// Which Arrow type a fold is of.
pub(crate) struct Of<T>(PhantomData<fn() -> T>);

impl<T> Of<T> {
    pub(crate) fn new() -> Of<T> {
        Of(PhantomData)
    }
}

/// A sum of whole numbers that cannot overflow.
pub(crate) trait Total: Copy + Default + Send + Sync + 'static {
    /// Add one.
    fn add(&mut self, value: i128);
    /// Subtract one.
    fn subtract(&mut self, value: i128);
    /// Add another total.
    fn merge(&mut self, other: Self);
    /// The sum, if it fits.
    fn get(&self) -> Option<i128>;
    /// The sum as a DOUBLE.
    fn to_f64(self) -> f64;
    /// Append its bytes.
    fn write(&self, out: &mut Vec<u8>);
    /// Read what `write` wrote.
    fn read(input: &mut &[u8]) -> Result<Self>;
}

/// Of 64-bit numbers: 2^64 of them fit.
impl Total for i128 {
    #[inline]
    fn add(&mut self, value: i128) {
        *self = self.wrapping_add(value);
    }

    #[inline]
    fn subtract(&mut self, value: i128) {
        *self = self.wrapping_sub(value);
    }

    fn merge(&mut self, other: i128) {
        *self = self.wrapping_add(other);
    }

    #[inline]
    fn get(&self) -> Option<i128> {
        Some(*self)
    }

    fn to_f64(self) -> f64 {
        self as f64
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_whole(*self, out);
    }

    fn read(input: &mut &[u8]) -> Result<i128> {
        read_whole(input)
    }
}

/// Of 128-bit numbers: the sum, and how often it went round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Carried {
    low: i128,
    rounds: i64,
}

impl Total for Carried {
    #[inline]
    fn add(&mut self, value: i128) {
        let (low, over) = self.low.overflowing_add(value);
        self.low = low;
        if over {
            self.rounds += if value > 0 { 1 } else { -1 };
        }
    }

    #[inline]
    fn subtract(&mut self, value: i128) {
        let (low, over) = self.low.overflowing_sub(value);
        self.low = low;
        if over {
            self.rounds -= if value > 0 { 1 } else { -1 };
        }
    }

    fn merge(&mut self, other: Carried) {
        self.add(other.low);
        self.rounds = self.rounds.wrapping_add(other.rounds);
    }

    #[inline]
    fn get(&self) -> Option<i128> {
        (self.rounds == 0).then_some(self.low)
    }

    fn to_f64(self) -> f64 {
        self.low as f64 + self.rounds as f64 * 2_f64.powi(128)
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_whole(self.low, out);
        write_whole(i128::from(self.rounds), out);
    }

    fn read(input: &mut &[u8]) -> Result<Carried> {
        let low = read_whole(input)?;
        let rounds = i64::try_from(read_whole(input)?).map_err(|_| crate::encoded::corrupt("a total is too large"))?;
        Ok(Carried { low, rounds })
    }
}

/// Append a whole number in as few bytes as it needs, the count before.
pub(crate) fn write_whole(value: i128, out: &mut Vec<u8>) {
    let bytes = value.to_le_bytes();
    let sign = if value < 0 { 0xff } else { 0 };
    let mut length = bytes.len();
    while length > 0 {
        let last = bytes.get(length - 1).copied().unwrap_or(sign);
        let below = if length > 1 { bytes.get(length - 2).copied().unwrap_or(0) } else { 0 };
        if last != sign || (below & 0x80) != (sign & 0x80) {
            break;
        }
        length -= 1;
    }
    out.push(u8::try_from(length).unwrap_or(16));
    out.extend_from_slice(bytes.get(..length).unwrap_or_default());
}

/// Read what [`write_whole`] wrote.
pub(crate) fn read_whole(input: &mut &[u8]) -> Result<i128> {
    let [length] = take::<1>(input)?;
    let length = usize::from(length);
    if length > 16 || length > input.len() {
        return Err(crate::encoded::corrupt("a number is too long"));
    }
    let (head, tail) = input.split_at(length);
    *input = tail;
    let sign = if head.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut bytes = [sign; 16];
    bytes.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
    Ok(i128::from_le_bytes(bytes))
}

/// An Arrow type of whole numbers.
pub(crate) trait Whole: ArrowPrimitiveType {
    /// Where they add up.
    type Total: Total;
    /// The number, wide.
    fn wide(value: Self::Native) -> i128;
    /// The number, if it fits.
    fn narrow(value: i128) -> Option<Self::Native>;
}

impl Whole for Int32Type {
    type Total = i128;

    #[inline]
    fn wide(value: i32) -> i128 {
        i128::from(value)
    }

    #[inline]
    fn narrow(value: i128) -> Option<i32> {
        i32::try_from(value).ok()
    }
}

impl Whole for Int64Type {
    type Total = i128;

    #[inline]
    fn wide(value: i64) -> i128 {
        i128::from(value)
    }

    #[inline]
    fn narrow(value: i128) -> Option<i64> {
        i64::try_from(value).ok()
    }
}

impl Whole for Decimal128Type {
    type Total = Carried;

    #[inline]
    fn wide(value: i128) -> i128 {
        value
    }

    #[inline]
    fn narrow(value: i128) -> Option<i128> {
        Some(value)
    }
}

/// An Arrow type whose values have keys that order as they do.
pub(crate) trait Ordered: ArrowPrimitiveType {
    /// The key.
    type Key: Ord + Copy + Into<i128> + TryFrom<i128> + Send + Sync;
    /// The key of a value.
    fn key(value: Self::Native) -> Self::Key;
    /// The value of a key.
    fn of_key(key: Self::Key) -> Self::Native;
}

macro_rules! ordered_by_itself {
    ($($ty:ty: $native:ty),*) => {$(
        impl Ordered for $ty {
            type Key = $native;

            #[inline]
            fn key(value: $native) -> $native {
                value
            }

            #[inline]
            fn of_key(key: $native) -> $native {
                key
            }
        }
    )*};
}

ordered_by_itself!(Int32Type: i32, Int64Type: i64, Decimal128Type: i128, Date32Type: i32, Time32MillisecondType: i32,
    TimestampMillisecondType: i64);

impl Ordered for Float64Type {
    type Key = i64;

    #[inline]
    fn key(value: f64) -> i64 {
        f64_order(value)
    }

    #[inline]
    fn of_key(key: i64) -> f64 {
        f64_of_order(key)
    }
}
