//! Running a room: its corpus, its seeds, and then what comes of them.

use std::{
    collections::HashSet,
    env,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::{
    STACK_BYTES, corpus,
    damage::Damage,
    watch::{self, Current, MEMORY_BYTES_MAX, Trace},
};

/// Inputs with an answer of a new kind that are kept to begin from.
const POOL_MAX: usize = 20_000;
/// Bytes of all of them.
const POOL_BYTES_MAX: usize = 64 << 20;
/// Different failures after which a run ends.
const FAILURES_MAX: usize = 12;
/// Tries to make a failing input shorter.
const SHORTENINGS_MAX: usize = 600;
/// So much of an input is shown.
const SHOWN_BYTES: usize = 300;
/// Short runs are the same every time.
const SEED: u64 = 20_240_229;

/// Rooms of a process run one after another: panics and memory belong to the process.
static ONE: Mutex<()> = Mutex::new(());

/// One entrance of the system.
pub struct Room<'a> {
    /// Its name.
    pub name: &'a str,
    /// The folder of its corpus.
    pub corpus: PathBuf,
    /// Inputs to begin from.
    pub seeds: Vec<Vec<u8>>,
    /// How they are damaged.
    pub damage: Damage<'a>,
    /// Inputs of a short run, besides corpus and seeds.
    pub inputs: u64,
}

/// What a run came to.
struct Run<'r, 'a, F> {
    room: &'r Room<'a>,
    enter: F,
    current: &'r Current,
    trace: Trace,
    kinds: HashSet<String>,
    places: HashSet<String>,
    failures: Vec<String>,
    slowest: (Duration, Vec<u8>),
    peak_bytes: u64,
}

impl Room<'_> {
    /// Let `enter` read inputs. What it says of an input is an answer; one of a new kind makes the input worth keeping.
    ///
    /// # Panics
    /// An input failed; the message says how and in which file it is.
    pub fn run(&self, enter: impl FnMut(&[u8]) -> String + Send) {
        let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        watch::note_panics();
        watch::panics();
        let current = Current::default();
        let (done, watched) = mpsc::channel::<()>();
        let failures = thread::scope(|scope| {
            let work = || {
                // Dropped at the end, also by a panic: then the watch ends.
                let _done = done;
                Run::new(self, enter, &current).work()
            };
            let builder = thread::Builder::new().name(watch::THREAD.to_owned()).stack_size(STACK_BYTES);
            let worker = builder.spawn_scoped(scope, work).expect("a thread");
            current.watch(self.name, &self.corpus, &watched);
            worker.join().expect("the room itself does not fail")
        });
        assert!(failures.is_empty(), "{}: {} failures\n{}", self.name, failures.len(), failures.join("\n"));
    }
}

/// A number in the environment.
fn setting(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

impl<'r, 'a, F: FnMut(&[u8]) -> String> Run<'r, 'a, F> {
    fn new(room: &'r Room<'a>, enter: F, current: &'r Current) -> Run<'r, 'a, F> {
        Run {
            room,
            enter,
            current,
            trace: Trace::new(room.name),
            kinds: HashSet::new(),
            places: HashSet::new(),
            failures: vec![],
            slowest: (Duration::ZERO, vec![]),
            peak_bytes: 0,
        }
    }

    fn work(mut self) -> Vec<String> {
        let (name, begun) = (self.room.name, Instant::now());
        eprintln!("{name}: if the process dies, the input is in {}", self.trace.path().display());
        for (file, input) in corpus::read(&self.room.corpus) {
            if let Err(why) = self.enter(&input) {
                self.failures.push(format!("{file}: {why}"));
            }
        }
        for seed in &self.room.seeds {
            self.attempt(seed);
        }
        let known = self.kinds.len();
        let seconds = setting("MILLSTREAM_FUZZ_SECONDS");
        let moment = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let seed = setting("MILLSTREAM_FUZZ_SEED").unwrap_or(if seconds.is_some() { moment } else { SEED });
        let mut rng = StdRng::seed_from_u64(seed);
        let mut pool = self.room.seeds.clone();
        let (mut inputs, mut pool_bytes) = (0_u64, 0);
        let goes_on = |inputs: u64| match seconds {
            Some(seconds) => begun.elapsed().as_secs() < seconds,
            None => inputs < self.room.inputs,
        };
        while self.failures.len() < FAILURES_MAX && goes_on(inputs) {
            inputs += 1;
            // Half of them begin from what was found, as long as there is something.
            let found = pool.get(self.room.seeds.len()..).unwrap_or_default();
            let parent = match found.choose(&mut rng) {
                Some(found) if rng.random_bool(0.5) => found,
                _ => self.room.seeds.choose(&mut rng).expect("a room has seeds"),
            };
            let input = self.room.damage.apply(&mut rng, parent, &pool);
            if self.attempt(&input) && pool.len() < POOL_MAX && pool_bytes + input.len() < POOL_BYTES_MAX {
                pool_bytes += input.len();
                pool.push(input);
            }
        }
        eprintln!(
            "{name}: {inputs} inputs in {} s (seed {seed}), {} kinds of answers ({known} from seeds), peak {} MB, slowest \
             {} ms: {:?}",
            begun.elapsed().as_secs(),
            self.kinds.len(),
            watch::peak_bytes() >> 20,
            self.slowest.0.as_millis(),
            String::from_utf8_lossy(&self.slowest.1)
        );
        self.failures
    }

    /// Read an input; whether its answer is new.
    fn attempt(&mut self, input: &[u8]) -> bool {
        match self.enter(input) {
            Ok(kind) => self.kinds.insert(kind),
            Err(why) => {
                if self.places.insert(watch::place_of(&why)) {
                    let short = self.shortened(input, &why);
                    let path = corpus::keep(&self.room.corpus, "found", &short);
                    let shown = String::from_utf8_lossy(&short[..short.len().min(SHOWN_BYTES)]).into_owned();
                    self.failures.push(format!("{}: {why}\n{shown:?}", path.display()));
                }
                false
            }
        }
    }

    fn enter(&mut self, input: &[u8]) -> Result<String, String> {
        self.current.begin(input);
        self.trace.write(input);
        let begun = Instant::now();
        let answer = panic::catch_unwind(AssertUnwindSafe(|| (self.enter)(input)));
        let took = begun.elapsed();
        if took > self.slowest.0 {
            self.slowest = (took, input[..input.len().min(SHOWN_BYTES)].to_vec());
        }
        let panics = watch::panics();
        let peak = watch::peak_bytes();
        if let Some(first) = panics.first() {
            return Err(first.clone());
        }
        // Said once: what is taken does not come back in what is measured.
        if peak > MEMORY_BYTES_MAX && self.peak_bytes <= MEMORY_BYTES_MAX {
            let before = self.peak_bytes >> 20;
            self.peak_bytes = peak;
            return Err(format!("the process takes {} MB of memory, before it {before}", peak >> 20));
        }
        self.peak_bytes = peak;
        answer.map_err(|_| "a panic without words".to_owned())
    }

    /// A shorter input that fails in the same place.
    fn shortened(&mut self, input: &[u8], why: &str) -> Vec<u8> {
        let (mut short, mut tries) = (input.to_vec(), 0);
        let wanted = watch::place_of(why);
        let mut size = short.len() / 2;
        while size > 0 && tries < SHORTENINGS_MAX {
            let mut at = 0;
            while at < short.len() && tries < SHORTENINGS_MAX {
                let mut less = short.clone();
                less.drain(at..(at + size).min(short.len()));
                tries += 1;
                match self.enter(&less) {
                    Err(other) if watch::place_of(&other) == wanted => short = less,
                    _ => at += size,
                }
            }
            size /= 2;
        }
        short
    }
}
