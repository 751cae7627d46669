//! Rooms for large answers: memory that is used again as soon as nobody looks at the answer that was in it.
//!
//! Answers to fetches come by the megabyte, one after the other, and each is dropped by another thread than it was
//! received on. Memory taken anew for each would be touched for the first time over and over, and kept for a while by the
//! allocator.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

/// Smaller answers take memory of their own. One of them says that no large ones wait at the broker, so that rooms are
/// not kept for them.
const ROOM_BYTES_MIN: usize = 256 << 10;
/// Rooms are made in steps of so many bytes, so that answers of about one size fit into each other's.
const ROOM_BYTES_STEP: usize = 1 << 20;
/// Larger rooms are not kept.
const ROOM_BYTES_MAX: usize = 4 << 20;
/// Most rooms that are kept empty.
const ROOMS_MAX: usize = 16;

/// Room that is made at once for an answer of which nothing is there yet, bytes; more only as it comes.
const TRUSTED_BYTES_MAX: usize = 64 << 20;

type Free = Mutex<Vec<Vec<u8>>>;

/// Empty rooms.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    free: Arc<Free>,
}

/// An answer in a room, which goes back to the others with it.
struct Lent {
    room: Vec<u8>,
    home: Weak<Free>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.room
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(home) = self.home.upgrade() else { return };
        let mut free = home.lock();
        if free.len() < ROOMS_MAX && self.room.capacity() <= ROOM_BYTES_MAX {
            free.push(std::mem::take(&mut self.room));
        }
    }
}

impl Rooms {
    /// An empty room for an answer of `length` bytes.
    pub fn take(&self, length: usize) -> Vec<u8> {
        let mut free = self.free.lock();
        if length < ROOM_BYTES_MIN {
            free.clear();
            return Vec::with_capacity(length);
        }
        if let Some(at) = free.iter().position(|room| room.capacity() >= length) {
            let mut room = free.swap_remove(at);
            room.clear();
            return room;
        }
        // None that is too small now is large enough later.
        free.clear();
        drop(free);
        Vec::with_capacity(length.next_multiple_of(ROOM_BYTES_STEP).min(TRUSTED_BYTES_MAX))
    }

    /// What is in a room that was taken here.
    pub fn lend(&self, room: Vec<u8>) -> Bytes {
        if room.len() < ROOM_BYTES_MIN {
            return room.into();
        }
        Bytes::from_owner(Lent { room, home: Arc::downgrade(&self.free) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rooms: &Rooms, length: usize, fill: u8) -> Bytes {
        let mut room = rooms.take(length);
        assert!(room.is_empty() && room.capacity() >= length, "{length}");
        room.resize(length, fill);
        rooms.lend(room)
    }

    #[test]
    fn a_room_is_used_again_only_when_nobody_looks_at_what_is_in_it() {
        let rooms = Rooms::default();
        let first = answer(&rooms, 3 << 20, 1);
        let (place, part) = (first.as_ptr(), first.slice(1 << 20..(1 << 20) + 9));
        drop(first);
        let second = answer(&rooms, 3 << 20, 2);
        assert_ne!(second.as_ptr(), place, "a part of the first is still looked at");
        assert_eq!(&*part, [1; 9]);
        drop(part);
        let third = answer(&rooms, (3 << 20) - 7, 3);
        assert_eq!(third.as_ptr(), place);
        assert!(second.iter().all(|byte| *byte == 2) && third.iter().all(|byte| *byte == 3));
    }

    #[test]
    fn few_rooms_are_kept_and_none_when_answers_get_small_or_the_connection_is_gone() {
        let rooms = Rooms::default();
        let many: Vec<Bytes> = (0..20).map(|fill| answer(&rooms, 1 << 20, fill)).collect();
        drop(many);
        assert_eq!(rooms.free.lock().len(), ROOMS_MAX);
        drop(answer(&rooms, 5 << 20, 0));
        assert!(rooms.free.lock().is_empty(), "too small, and too large");
        drop(answer(&rooms, 1 << 20, 0));
        assert_eq!(rooms.free.lock().len(), 1);
        assert_eq!(answer(&rooms, 10, 7), [7; 10][..]);
        assert!(rooms.free.lock().is_empty());
        let last = answer(&rooms, 1 << 20, 4);
        drop(rooms);
        assert!(last.iter().all(|byte| *byte == 4));
    }
}
