//! Which runs a store has, and as of when: one small text file, replaced as a whole.

use std::fmt::Write as _;

/// First line; another one is not read.
const HEADER: &str = "coldstore 1";

/// How far a store goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Everything that was changed up to this epoch is in the store.
    pub epoch: u64,
    /// What was changed after it begins at this offset of the changelog.
    pub offset: i64,
    /// When it was set, wall time, ms.
    pub time_ms: i64,
}

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// `None`: the store holds only a part so far.
    pub mark: Option<Mark>,
    /// No entry is newer than this epoch.
    pub newest_epoch: u64,
    /// Numbers of the runs' files, newest first.
    pub runs: Vec<u64>,
}

impl Manifest {
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\nnewest {}\n", self.newest_epoch);
        if let Some(Mark { epoch, offset, time_ms }) = self.mark {
            let _ = writeln!(text, "mark {epoch} {offset} {time_ms}");
        }
        self.runs.iter().for_each(|run| {
            let _ = writeln!(text, "run {run}");
        });
        let crc = crc32c::crc32c(text.as_bytes());
        let _ = writeln!(text, "crc {crc}");
        text
    }

    /// Back from [`Manifest::to_text`].
    pub fn from_text(text: &str) -> Option<Manifest> {
        let body = text.strip_suffix('\n')?;
        let (_, crc) = body.rsplit_once("\ncrc ")?;
        let signed = text.get(..body.len() - crc.len() - "crc ".len())?;
        if crc.parse() != Ok(crc32c::crc32c(signed.as_bytes())) {
            return None;
        }
        let mut lines = signed.lines();
        if lines.next() != Some(HEADER) {
            return None;
        }
        let mut manifest = Manifest::default();
        for line in lines {
            let mut words = line.split(' ');
            match words.next()? {
                "newest" => manifest.newest_epoch = words.next()?.parse().ok()?,
                "mark" => {
                    let (epoch, offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                    manifest.mark = Some(Mark { epoch, offset, time_ms: words.next()?.parse().ok()? });
                }
                "run" => manifest.runs.push(words.next()?.parse().ok()?),
                _ => return None,
            }
        }
        Some(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_or_is_refused() {
        let mark = Mark { epoch: 7, offset: -1, time_ms: 9 };
        for mark in [None, Some(mark)] {
            let manifest = Manifest { mark, newest_epoch: 8, runs: vec![3, 1] };
            let text = manifest.to_text();
            assert_eq!(Manifest::from_text(&text), Some(manifest));
            for at in 0..text.len() {
                assert_eq!(Manifest::from_text(&text[..at]), None, "cut at {at}");
                let mut damaged = text.clone().into_bytes();
                damaged[at] ^= 1;
                assert_eq!(String::from_utf8(damaged).ok().and_then(|t| Manifest::from_text(&t)), None, "bit at {at}");
            }
        }
    }
}
