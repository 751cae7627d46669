//! The only door of this crate to the clock and to randomness, so that a simulator can stand behind it.

use std::{
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

/// Where RANDOM, UUID, UNIX_TIMESTAMP and UNIX_DATE get what no argument gives them.
pub trait Ambient: Send + Sync {
    /// Milliseconds since 1970-01-01T00:00Z.
    fn now_ms(&self) -> i64;

    /// 64 random bits.
    fn random(&self) -> u64;
}

static INSTALLED: OnceLock<Box<dyn Ambient>> = OnceLock::new();

/// Take the clock and randomness of this process from `ambient` instead of the system. The first call counts; gives
/// `false` for later ones.
pub fn install(ambient: Box<dyn Ambient>) -> bool {
    INSTALLED.set(ambient).is_ok()
}

/// Milliseconds since 1970-01-01T00:00Z.
pub(crate) fn now_ms() -> i64 {
    match INSTALLED.get() {
        Some(ambient) => ambient.now_ms(),
        None => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        }
    }
}

/// 64 random bits.
pub(crate) fn random() -> u64 {
    match INSTALLED.get() {
        Some(ambient) => ambient.random(),
        None => rand::random(),
    }
}
