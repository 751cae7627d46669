//! What the functions share that read numbers from bytes: the order of the bytes, given by name.

use arrow::array::{Array, ArrayRef, BinaryArray, StringArray};
use types::Result;

use crate::scalar::definition::Call;

/// A column of what `read` makes of each value of N bytes, most significant first. NULL where the value has another
/// length, or the order of bytes is none.
pub(super) fn read<A, T, const N: usize>(call: &Call<'_>, read: fn([u8; N]) -> T) -> Result<ArrayRef>
where
    A: Array + FromIterator<Option<T>> + 'static,
{
    let values = call.view::<BinaryArray>(0)?;
    let orders = call.optional::<StringArray>(1)?;
    call.rows::<A, T>(|row| {
        let mut bytes: [u8; N] = values.get(row)?.try_into().ok()?;
        match orders.map_or(Some("BIG_ENDIAN"), |o| o.get(row))? {
            order if order.eq_ignore_ascii_case("BIG_ENDIAN") => {}
            order if order.eq_ignore_ascii_case("LITTLE_ENDIAN") => bytes.reverse(),
            _ => return None,
        }
        Some(read(bytes))
    })
}
