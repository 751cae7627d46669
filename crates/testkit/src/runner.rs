//! Running many cases: a bounded number at a time, each on a thread of its own with a time limit, both cuts.
//!
//! A case that panics or hangs is a failed case, not the end of the run; a hanging thread is left behind.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use engine::Cut;

use crate::{
    case::{Body, Case},
    failure::Failure,
    records, script_run,
};

/// A case may take so long, ms, with one cut.
pub const CASE_MS_MAX: u64 = 20_000;
/// Stack of a case's thread, bytes.
const STACK_BYTES: usize = 16 << 20;

/// The two ways to cut input into epochs.
pub const CUTS: [Cut; 2] = [Cut::Records(1), Cut::All];

/// What a case came to.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Its file.
    pub file: String,
    /// Its name.
    pub name: String,
    /// The first cut with which it failed, and why; `None`: it passed with all.
    pub failure: Option<(Cut, Failure)>,
    /// How long it took.
    pub took: Duration,
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keep the place of a panic on a case's thread instead of printing it.
fn keep_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let printing = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() == Some(CASE_THREAD) {
                PANIC.with(|kept| *kept.borrow_mut() = Some(info.to_string()));
            } else {
                printing(info);
            }
        }));
    });
}

const CASE_THREAD: &str = "case";

/// Run one case with one cut on this thread.
///
/// # Errors
/// The case failed.
pub fn run_case(case: &Case, cut: Cut) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(format!("no runtime: {e}")))?;
    let ended = runtime.block_on(async {
        let run = async {
            match &case.body {
                Body::Records(body) => records::run(body, cut).await,
                Body::Script(body) => script_run::run(body, cut).await,
            }
        };
        tokio::time::timeout(Duration::from_millis(CASE_MS_MAX), run).await
    });
    runtime.shutdown_background();
    ended.unwrap_or_else(|_| Err(timed_out()))
}

fn timed_out() -> Failure {
    Failure::new(format!("no result within {CASE_MS_MAX} ms"))
}

/// Run one case with one cut on a thread of its own: panics and endless loops are failures.
///
/// # Errors
/// The case failed.
pub fn run_isolated(case: &Arc<Case>, cut: Cut) -> Result<(), Failure> {
    keep_panics();
    let (sender, receiver) = mpsc::sync_channel(1);
    let case = Arc::clone(case);
    let body = move || {
        let ended = panic::catch_unwind(AssertUnwindSafe(|| run_case(&case, cut)));
        let ended = ended.unwrap_or_else(|_| {
            let message = PANIC.with(|kept| kept.borrow_mut().take()).unwrap_or_else(|| "a panic".to_owned());
            let lines: Vec<&str> = message.lines().collect();
            Err(Failure::new(lines.join(" ")))
        });
        // Nobody listens any more when the limit has passed.
        let _ = sender.send(ended);
    };
    let spawned = thread::Builder::new().name(CASE_THREAD.to_owned()).stack_size(STACK_BYTES).spawn(body);
    let thread = match spawned {
        Ok(thread) => thread,
        Err(e) => return Err(Failure::new(format!("no thread: {e}"))),
    };
    // The case's own limit comes first, unless its thread never yields.
    match receiver.recv_timeout(Duration::from_millis(CASE_MS_MAX + CASE_MS_MAX / 4)) {
        Ok(ended) => {
            let _ = thread.join();
            ended
        }
        Err(mpsc::RecvTimeoutError::Timeout) => Err(timed_out()),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Failure::new("its thread ended without a result")),
    }
}

/// Run all cases with each of `cuts`, `threads` at a time; results come in the order of the cases.
pub fn run_all(cases: Vec<Case>, cuts: &[Cut], threads: usize, progress: &(dyn Fn(&Verdict) + Sync)) -> Vec<Verdict> {
    let cases: Vec<Arc<Case>> = cases.into_iter().map(Arc::new).collect();
    let results: Mutex<Vec<(usize, Verdict)>> = Mutex::new(Vec::with_capacity(cases.len()));
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { return };
                    let result = run_with(case, cuts);
                    progress(&result);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn run_with(case: &Arc<Case>, cuts: &[Cut]) -> Verdict {
    let begun = Instant::now();
    let failure = cuts.iter().find_map(|cut| Some((*cut, run_isolated(case, *cut).err()?)));
    Verdict { file: case.file.clone(), name: case.name.clone(), failure, took: begun.elapsed() }
}
