//! The only door to the clock, to randomness and to files.
//!
//! Everything above asks a [`Host`] instead of the operating system, so that a test can put a virtual clock and a
//! simulated disk behind the same code: one that loses what was not synced, tears writes, fills up and fails to read,
//! all from one printed seed. Invariant: knows nothing of what the bytes mean.

mod clock;
mod disk;
mod random;
mod real_disk;
mod sim_disk;

pub use clock::{Clock, SystemClock, VirtualClock};
pub use disk::{Disk, DiskEntry, DiskFile, DiskLock, OpenMode};
pub use random::{Random, SeededRandom, SystemRandom};
pub use real_disk::RealDisk;
pub use sim_disk::{FaultOp, SimDisk};

use std::sync::Arc;

/// What a component gets to reach the world with. Cheap to clone; hand it around.
#[derive(Clone, Debug)]
pub struct Host {
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Random numbers.
    pub random: Arc<dyn Random>,
}

/// A simulated host with handles on what a test turns.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// To hand to the code under test.
    pub host: Host,
    /// The host's clock.
    pub clock: Arc<VirtualClock>,
    /// The host's disk.
    pub disk: Arc<SimDisk>,
}

impl Host {
    /// The operating system's clock, randomness and files.
    pub fn real() -> Host {
        Host { clock: Arc::new(SystemClock::new()), disk: Arc::new(RealDisk), random: Arc::new(SystemRandom) }
    }

    /// The real clock and randomness over files in memory: for a log or a store that lives as long as its process.
    pub fn in_memory() -> Host {
        Host {
            clock: Arc::new(SystemClock::new()),
            disk: Arc::new(SimDisk::untracked()),
            random: Arc::new(SystemRandom),
        }
    }

    /// As [`Host::in_memory`], with a clock that stands still until it is moved.
    pub fn in_memory_at(clock: Arc<VirtualClock>) -> Host {
        Host { clock, ..Host::in_memory() }
    }

    /// A virtual clock standing at `now_ms`, a simulated disk and random numbers, all from `seed`.
    pub fn simulated(seed: u64, now_ms: i64) -> Simulation {
        let clock = Arc::new(VirtualClock::at(now_ms));
        let disk = Arc::new(SimDisk::new(seed));
        let host = Host {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            disk: Arc::clone(&disk) as Arc<dyn Disk>,
            random: Arc::new(SeededRandom::new(seed)),
        };
        Simulation { host, clock, disk }
    }

    /// The same host with another disk, such as what a crash left of it.
    pub fn with_disk(&self, disk: Arc<dyn Disk>) -> Host {
        Host { clock: Arc::clone(&self.clock), disk, random: Arc::clone(&self.random) }
    }
}

impl Simulation {
    /// The machine after a loss of power: what was not synced is dropped or torn. Handles on the old one reach
    /// nothing of the new.
    pub fn power_loss(&self) -> Simulation {
        self.over(self.disk.power_loss())
    }

    /// The machine after its process was killed: everything written is there.
    pub fn kill(&self) -> Simulation {
        self.over(self.disk.kill())
    }

    fn over(&self, disk: SimDisk) -> Simulation {
        let disk = Arc::new(disk);
        let host = self.host.with_disk(Arc::clone(&disk) as Arc<dyn Disk>);
        Simulation { host, clock: Arc::clone(&self.clock), disk }
    }
}
