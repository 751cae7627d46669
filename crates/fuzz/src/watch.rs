//! What can go wrong with an input besides its answer: a panic on any thread, time, memory.

use std::{
    fs, panic,
    path::PathBuf,
    process,
    sync::{
        Mutex, MutexGuard, Once, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::corpus;

/// An input may take so much time of a core, ms: small inputs take less than one.
pub const CPU_MS_MAX: u64 = 20_000;
/// An input may wait so long, ms, whatever else the machine does.
const WALL_MS_MAX: u64 = 180_000;
/// The process may take so much memory, bytes.
pub const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// How often the clock is looked at, ms.
const LOOK_MS: u64 = 250;
/// The kernel counts a process's time in these, a second.
const TICKS_PER_SECOND: u64 = 100;

/// The thread on which inputs are read.
pub(crate) const THREAD: &str = "fuzz";

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Note the panics of all threads; those of the room's own thread are not printed.
pub(crate) fn note_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let printing = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            lock(&PANICS).push(info.to_string());
            if thread::current().name() != Some(THREAD) {
                printing(info);
            }
        }));
    });
}

/// The panics since the last call.
pub(crate) fn panics() -> Vec<String> {
    std::mem::take(&mut lock(&PANICS))
}

/// Where a panic was: its first line has the place, the second the words.
pub(crate) fn place_of(panic: &str) -> String {
    panic.lines().next().unwrap_or_default().to_owned()
}

/// Most memory that the process had, bytes; 0 where the system does not tell.
pub fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Time of all cores that the process had, ms; 0 where the system does not tell.
fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // User and system time are the 14th and 15th field, the first behind the name is the third.
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    ticks * 1_000 / TICKS_PER_SECOND
}

/// The input that is being read.
#[derive(Default)]
pub(crate) struct Current {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    number: u64,
    input: Vec<u8>,
}

impl Current {
    /// The next input begins.
    pub fn begin(&self, input: &[u8]) {
        let mut state = lock(&self.state);
        state.number += 1;
        state.input.clear();
        state.input.extend_from_slice(input);
    }

    /// Look at the clock until `done` is closed; an input that takes too long is kept in `corpus`, and the process
    /// ends: a thread cannot be stopped.
    pub fn watch(&self, room: &str, corpus: &std::path::Path, done: &Receiver<()>) {
        let (mut number, mut since, mut cpu) = (u64::MAX, Instant::now(), cpu_ms());
        while done.recv_timeout(Duration::from_millis(LOOK_MS)) == Err(RecvTimeoutError::Timeout) {
            let state = lock(&self.state);
            if state.number != number {
                (number, since, cpu) = (state.number, Instant::now(), cpu_ms());
                continue;
            }
            let (took, used) = (since.elapsed(), cpu_ms() - cpu);
            if used > CPU_MS_MAX || took > Duration::from_millis(WALL_MS_MAX) {
                let path = corpus::keep(corpus, "slow", &state.input);
                eprintln!("{room}: an input takes too long ({used} ms of a core): {}", path.display());
                process::abort();
            }
        }
    }
}

/// A file with the input that is being read: all that is left of it when a stack overflows.
pub(crate) struct Trace {
    path: PathBuf,
}

impl Trace {
    pub fn new(room: &str) -> Trace {
        Trace { path: std::env::temp_dir().join(format!("millstream-fuzz-{room}-{}", process::id())) }
    }

    pub fn write(&self, input: &[u8]) {
        if let Err(error) = fs::write(&self.path, input) {
            panic!("{}: {error}", self.path.display());
        }
    }

    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
