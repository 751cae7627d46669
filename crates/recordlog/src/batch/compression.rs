//! The codecs of a batch's records. What comes out is bounded, whatever went in.

use std::io::{self, Read, Write};

use super::BatchError;

/// Most bytes that one batch's records may decompress to.
pub const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;

/// Snappy in the framing of the xerial library, which Kafka's Java clients write: this magic and two versions, then
/// blocks with their length before them.
const XERIAL_MAGIC: &[u8] = &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;
const XERIAL_BLOCK_BYTES: usize = 32 << 10;
/// Zstandard's default level, as Kafka's.
const ZSTD_LEVEL: i32 = 3;

/// How a batch's records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, in xerial's framing.
    Snappy,
    /// LZ4's frame format.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// All codecs, in the order of their codes.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The lowest three bits of a batch's attributes.
    pub fn code(self) -> i16 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }

    /// The codec of that code.
    pub fn from_code(code: i16) -> Result<Compression, BatchError> {
        Compression::ALL.into_iter().find(|codec| codec.code() == code).ok_or(BatchError::Codec(code))
    }

    /// Kafka's name of the codec.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// The codec of that name.
    pub fn from_name(name: &str) -> Option<Compression> {
        Compression::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// Append `records`, compressed, to `to`.
    pub(crate) fn compress(self, records: &[u8], to: &mut Vec<u8>) -> Result<(), BatchError> {
        let result = match self {
            Compression::None => {
                to.extend_from_slice(records);
                Ok(())
            }
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::default());
                encoder.write_all(records).and_then(|()| encoder.finish().map(drop))
            }
            Compression::Snappy => compress_xerial(records, to),
            Compression::Lz4 => {
                let frame = lz4_flex::frame::FrameInfo::new()
                    .block_size(lz4_flex::frame::BlockSize::Max64KB)
                    .block_mode(lz4_flex::frame::BlockMode::Independent);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(frame, to);
                encoder.write_all(records).and_then(|()| encoder.finish().map(drop).map_err(io::Error::other))
            }
            Compression::Zstd => zstd::stream::copy_encode(records, to, ZSTD_LEVEL),
        };
        result.map_err(|error| self.failed(error))
    }

    /// The records in `bytes`, at most [`DECOMPRESSED_BYTES_MAX`].
    pub fn decompress(self, bytes: &[u8]) -> Result<Vec<u8>, BatchError> {
        self.decompress_bounded(bytes, DECOMPRESSED_BYTES_MAX)
    }

    pub(super) fn decompress_bounded(self, bytes: &[u8], max: usize) -> Result<Vec<u8>, BatchError> {
        match self {
            Compression::None if bytes.len() > max => Err(BatchError::TooLarge { max }),
            Compression::None => Ok(bytes.to_vec()),
            Compression::Gzip => self.read_all(flate2::read::MultiGzDecoder::new(bytes), bytes.len(), max),
            Compression::Snappy => self.decompress_snappy(bytes, max),
            Compression::Lz4 => self.read_all(lz4_flex::frame::FrameDecoder::new(bytes), bytes.len(), max),
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|error| self.failed(error))?;
                self.read_all(decoder, bytes.len(), max)
            }
        }
    }

    fn failed(self, error: impl ToString) -> BatchError {
        BatchError::Decompress { codec: self.name(), what: error.to_string() }
    }

    fn read_all(self, reader: impl Read, compressed: usize, max: usize) -> Result<Vec<u8>, BatchError> {
        let mut out = Vec::with_capacity(compressed.saturating_mul(4).min(max));
        let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
        reader.take(limit).read_to_end(&mut out).map_err(|error| self.failed(error))?;
        if out.len() > max { Err(BatchError::TooLarge { max }) } else { Ok(out) }
    }

    fn decompress_snappy(self, bytes: &[u8], max: usize) -> Result<Vec<u8>, BatchError> {
        let mut out = Vec::new();
        if !bytes.starts_with(XERIAL_MAGIC) {
            self.decompress_block(bytes, &mut out, max)?;
            return Ok(out);
        }
        let mut rest = bytes.get(XERIAL_HEADER_BYTES..).ok_or_else(|| self.failed("no header"))?;
        while !rest.is_empty() {
            let (length, blocks) = rest.split_first_chunk::<4>().ok_or_else(|| self.failed("no block length"))?;
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            let block = blocks.get(..length).ok_or_else(|| self.failed("a block is cut off"))?;
            self.decompress_block(block, &mut out, max)?;
            rest = blocks.get(length..).unwrap_or_default();
        }
        Ok(out)
    }

    fn decompress_block(self, block: &[u8], out: &mut Vec<u8>, max: usize) -> Result<(), BatchError> {
        let length = snap::raw::decompress_len(block).map_err(|error| self.failed(error))?;
        let start = out.len();
        if length > max.saturating_sub(start) {
            return Err(BatchError::TooLarge { max });
        }
        out.resize(start + length, 0);
        let place = out.get_mut(start..).unwrap_or_default();
        snap::raw::Decoder::new().decompress(block, place).map(drop).map_err(|error| self.failed(error))
    }
}

fn compress_xerial(records: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
    to.extend_from_slice(XERIAL_MAGIC);
    to.extend_from_slice(&1_u32.to_be_bytes());
    to.extend_from_slice(&1_u32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(XERIAL_BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block).map_err(io::Error::other)?;
        let length = u32::try_from(compressed.len()).map_err(io::Error::other)?;
        to.extend_from_slice(&length.to_be_bytes());
        to.extend_from_slice(&compressed);
    }
    Ok(())
}
