//! How a batch lies in a segment: sixteen bytes, then the batch as Kafka has it.
//!
//! The sixteen bytes carry the arrival number and the batch's length, and a checksum over them and over those bytes of
//! the batch that its own checksum leaves out (base offset, length, leader epoch, magic). So every stored byte is
//! covered, a segment explains itself without any other file, and arrival numbers survive with the batch they number.

use crate::batch::{BatchHeader, HEADER_BYTES, ROOM_BYTES};

/// Bytes before the batch: arrival u64, length u32, CRC-32C u32, little endian.
pub(super) const FRAME_BYTES: usize = ROOM_BYTES;
/// Bytes from which a frame and its batch's header can be read.
pub(super) const FRAME_HEADER_BYTES: usize = FRAME_BYTES + HEADER_BYTES;
/// Bytes of a batch that its own checksum leaves out.
const UNCOVERED_BYTES: usize = 17;

/// What stands before a batch's records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub arrival: u64,
    pub header: BatchHeader,
}

impl Frame {
    /// Bytes of frame and batch.
    pub fn bytes(&self) -> usize {
        FRAME_BYTES + self.header.length
    }
}

fn checksum(frame: &[u8]) -> u32 {
    let numbers = crc32c::crc32c(frame.get(..12).unwrap_or_default());
    crc32c::crc32c_append(numbers, frame.get(FRAME_BYTES..FRAME_BYTES + UNCOVERED_BYTES).unwrap_or_default())
}

fn put<const N: usize>(frame: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = frame.get_mut(at..at + N) {
        place.copy_from_slice(&bytes);
    }
}

/// Complete the frame of the batch that stands in `frame` after [`FRAME_BYTES`] of room.
pub(super) fn seal(frame: &mut [u8], arrival: u64) {
    let length = u32::try_from(frame.len().saturating_sub(FRAME_BYTES)).unwrap_or(u32::MAX);
    put(frame, 0, arrival.to_le_bytes());
    put(frame, 8, length.to_le_bytes());
    let checksum = checksum(frame);
    put(frame, 12, checksum.to_le_bytes());
}

/// Read the frame at the beginning of `bytes`, which hold [`FRAME_HEADER_BYTES`] of it at least. The records' own
/// checksum is not looked at.
pub(super) fn parse(bytes: &[u8]) -> Result<Frame, String> {
    let cut_off = || "the segment ends inside a batch".to_owned();
    let (arrival, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut_off)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
    let (stored, batch) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
    if bytes.len() < FRAME_HEADER_BYTES {
        return Err(cut_off());
    }
    let (stored, found) = (u32::from_le_bytes(*stored), checksum(bytes));
    if stored != found {
        return Err(format!("the checksum of its frame is {found:08x}, stored is {stored:08x}"));
    }
    let header = BatchHeader::parse_fixed(batch).map_err(|error| error.to_string())?;
    if u32::from_le_bytes(*length) as usize != header.length || header.length < HEADER_BYTES {
        return Err(format!("its frame holds {} bytes, the batch {}", u32::from_le_bytes(*length), header.length));
    }
    Ok(Frame { arrival: u64::from_le_bytes(*arrival), header })
}
