//! The command: arguments in, cases run, reports out.

use std::{fs, io::Write, num::NonZero, path::PathBuf, thread};

use engine::Cut;

use crate::{
    load::load,
    report::{Report, cut_name},
    runner::{CUTS, Verdict, run_all},
};

/// Run test cases: `.sql` scripts and JSON files.
#[derive(Debug, Clone, clap::Args)]
pub struct TestArgs {
    /// Files, or folders that are searched for `.sql` and `.json`.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Only cases whose file or name contains this text.
    #[arg(long)]
    pub filter: Option<String>,
    /// Only with every record in an epoch of its own.
    #[arg(long, conflicts_with = "one_batch")]
    pub per_record: bool,
    /// Only with all records in one epoch.
    #[arg(long)]
    pub one_batch: bool,
    /// Only the counts, not what failed.
    #[arg(long)]
    pub summary: bool,
    /// One line a failed case, without details.
    #[arg(long)]
    pub brief: bool,
    /// Cases run at a time; default: one a core.
    #[arg(long)]
    pub threads: Option<NonZero<usize>>,
    /// Write JUnit's XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write everything as JSON.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write a page of documentation.
    #[arg(long, value_name = "FILE.md")]
    pub compatibility: Option<PathBuf>,
}

/// Run the command; the exit code: 0 when all passed, 1 when a case failed, 2 when the cases cannot be run
/// or the filter leaves none.
pub fn run(args: &TestArgs) -> u8 {
    match try_run(args) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(message) => {
            say_error(&message);
            2
        }
    }
}

fn try_run(args: &TestArgs) -> Result<bool, String> {
    let mut cases = load(&args.paths)?;
    if let Some(filter) = &args.filter {
        cases.retain(|case| case.title().contains(filter.as_str()));
        // A filter with a slip of the pen must not look like success.
        if cases.is_empty() {
            return Err(format!("no case has {filter:?} in its name"));
        }
    }
    let cuts: &[Cut] = match (args.per_record, args.one_batch) {
        (true, _) => &[CUTS[0]],
        (_, true) => &[CUTS[1]],
        _ => &CUTS,
    };
    let threads = args.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let progress = |verdict: &Verdict| {
        if !args.summary {
            say(&failure_lines(verdict, args.brief));
        }
    };
    let verdicts = run_all(cases, cuts, threads, &progress);
    let report = Report::new(&verdicts, cuts);
    say(&report.summary());
    let json = || serde_json::to_string_pretty(&report).map_err(|e| e.to_string());
    write(args.junit.as_ref(), || Ok(report.junit()))?;
    write(args.report.as_ref(), json)?;
    write(args.compatibility.as_ref(), || Ok(report.compatibility(&|_, _| None)))?;
    Ok(report.failed == 0)
}

fn failure_lines(verdict: &Verdict, brief: bool) -> String {
    let Some((cut, failure)) = &verdict.failure else { return String::new() };
    let mut out = format!("FAIL {}: {} [{}]: {}\n", verdict.file, verdict.name, cut_name(*cut), failure.reason);
    if !brief {
        for line in failure.detail.lines() {
            out.push_str("     ");
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

fn write(path: Option<&PathBuf>, text: impl FnOnce() -> Result<String, String>) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    fs::write(path, text()?).map_err(|e| format!("{}: {e}", path.display()))
}

/// A closed pipe is no reason to stop.
fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn say_error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}
