//! What the tests of whole folders share.

use std::{
    env,
    fmt::Write,
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

use engine::Cut;
use testkit::{
    case::Case,
    report::Report,
    runner::{self, Verdict},
};

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace").to_owned()
}

/// The conformance cases, which are not part of the project: beside it, or where MILLSTREAM_SHARED says. Says so
/// loudly when they are not there.
pub fn conformance() -> Option<PathBuf> {
    let shared = env::var_os("MILLSTREAM_SHARED").map_or_else(|| workspace().join("../shared"), PathBuf::from);
    let folder = shared.join("conformance");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no conformance cases in {}; set MILLSTREAM_SHARED", folder.display());
    None
}

/// Run cases, one a core.
pub fn run(cases: Vec<Case>, cuts: &[Cut]) -> Report {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    Report::new(&runner::run_all(cases, cuts, threads, &|_: &Verdict| {}), cuts)
}

/// The failed cases of a report.
pub fn failures(report: &Report) -> String {
    let mut out = String::new();
    for (file, case) in report.failures() {
        let (cut, reason) = (case.cut.as_deref().unwrap_or("?"), case.reason.as_deref().unwrap_or("?"));
        let _ = writeln!(out, "{}: {} [{cut}]: {reason}\n{}", file.file, case.name, case.detail);
    }
    out
}
