//! What a run came to: for a terminal, for machines (JSON, JUnit) and as a page of documentation.

use std::{collections::BTreeMap, fmt::Write};

use engine::Cut;
use serde::Serialize;

use crate::runner::Verdict;

/// A run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The cuts that every case had to pass.
    pub cuts: Vec<String>,
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
    /// By file, sorted.
    pub files: Vec<FileReport>,
}

/// The cases of a file.
#[derive(Debug, Clone, Serialize)]
pub struct FileReport {
    /// Folder and name.
    pub file: String,
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
    /// All cases, in order.
    pub cases: Vec<CaseReport>,
}

/// One case.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// Whether it passed with every cut.
    pub passed: bool,
    /// The first cut with which it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Lines that help.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Milliseconds, all cuts together.
    pub took_ms: u64,
}

/// How a cut is named in reports.
pub fn cut_name(cut: Cut) -> String {
    match cut {
        Cut::Records(1) => "per-record".to_owned(),
        Cut::Records(n) => format!("{n}-records"),
        Cut::All => "one-batch".to_owned(),
    }
}

impl Report {
    /// The report of a run with `cuts`.
    pub fn new(verdicts: &[Verdict], cuts: &[Cut]) -> Report {
        let mut files: BTreeMap<&str, Vec<CaseReport>> = BTreeMap::new();
        for verdict in verdicts {
            let failure = verdict.failure.as_ref();
            files.entry(&verdict.file).or_default().push(CaseReport {
                name: verdict.name.clone(),
                passed: failure.is_none(),
                cut: failure.map(|(cut, _)| cut_name(*cut)),
                reason: failure.map(|(_, f)| f.reason.clone()),
                detail: failure.map(|(_, f)| f.detail.clone()).unwrap_or_default(),
                took_ms: u64::try_from(verdict.took.as_millis()).unwrap_or(u64::MAX),
            });
        }
        let file = |(file, cases): (&str, Vec<CaseReport>)| {
            let passed = cases.iter().filter(|c| c.passed).count();
            FileReport { file: file.to_owned(), passed, failed: cases.len() - passed, cases }
        };
        let files: Vec<FileReport> = files.into_iter().map(file).collect();
        Report {
            cuts: cuts.iter().map(|c| cut_name(*c)).collect(),
            passed: files.iter().map(|f| f.passed).sum(),
            failed: files.iter().map(|f| f.failed).sum(),
            files,
        }
    }

    /// Passed and all cases by folder.
    pub fn folders(&self) -> BTreeMap<String, (usize, usize)> {
        let mut folders: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for file in &self.files {
            let folder = file.file.rsplit_once('/').map_or("", |(folder, _)| folder);
            let counts = folders.entry(folder.to_owned()).or_default();
            counts.0 += file.passed;
            counts.1 += file.cases.len();
        }
        folders
    }

    /// Passed and all, by file and in total.
    pub fn summary(&self) -> String {
        let width = self.files.iter().map(|f| f.file.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for file in &self.files {
            let mark = if file.failed == 0 { ' ' } else { '!' };
            let _ = writeln!(out, "{mark} {:width$} {:4} / {:4}", file.file, file.passed, file.cases.len());
        }
        for (folder, (passed, all)) in self.folders() {
            let _ = writeln!(out, "= {folder:width$} {passed:4} / {all:4}");
        }
        let _ =
            writeln!(out, "{} of {} cases passed ({})", self.passed, self.passed + self.failed, self.cuts.join(", "));
        out
    }

    /// JUnit's XML, as test dashboards read it.
    pub fn junit(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let total = self.passed + self.failed;
        let _ = writeln!(out, "<testsuites tests=\"{total}\" failures=\"{}\">", self.failed);
        for file in &self.files {
            let name = xml(&file.file);
            let (all, failed) = (file.cases.len(), file.failed);
            let _ = writeln!(out, "  <testsuite name=\"{name}\" tests=\"{all}\" failures=\"{failed}\">");
            for case in &file.cases {
                let (ms, case_name) = (case.took_ms, xml(&case.name));
                let time = format!("{}.{:03}", ms / 1000, ms % 1000);
                let _ = write!(out, "    <testcase classname=\"{name}\" name=\"{case_name}\" time=\"{time}\"");
                match &case.reason {
                    None => out.push_str("/>\n"),
                    Some(reason) => {
                        let detail = format!("{}\n{}", case.cut.as_deref().unwrap_or_default(), case.detail);
                        let (reason, detail) = (xml(reason), xml(&detail));
                        let _ =
                            writeln!(out, ">\n      <failure message=\"{reason}\">{detail}</failure>\n    </testcase>");
                    }
                }
            }
            out.push_str("  </testsuite>\n");
        }
        out.push_str("</testsuites>\n");
        out
    }

    /// A page of documentation: how much of the dialect's conformance cases pass, and why the others do not.
    /// `reason` says it of a case (file, name); where it says nothing, what the run found stands there.
    pub fn compatibility(&self, reason: &dyn Fn(&str, &str) -> Option<String>) -> String {
        let mut out = String::from(COMPATIBILITY);
        out.push_str("\n| cases | passed | of | |\n|---|--:|--:|--:|\n");
        for (folder, (passed, all)) in self.folders() {
            let _ = writeln!(out, "| {folder} | {passed} | {all} | {} |", percent(passed, all));
        }
        let all = self.passed + self.failed;
        let _ = writeln!(out, "| **all** | **{}** | **{all}** | **{}** |", self.passed, percent(self.passed, all));
        out.push_str(&self.differences(reason));
        out.push_str("\n## By file\n\n| file | passed | of |\n|---|--:|--:|\n");
        for file in &self.files {
            let _ = writeln!(out, "| {} | {} | {} |", file.file, file.passed, file.cases.len());
        }
        out
    }

    /// The failed cases by what they have in common.
    fn differences(&self, reason: &dyn Fn(&str, &str) -> Option<String>) -> String {
        let mut out = String::from("\n## What differs\n");
        if self.failed == 0 {
            out.push_str("\nNothing.\n");
        }
        let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
        for (file, case) in self.failures() {
            let why = reason(&file.file, &case.name).or_else(|| case.reason.clone()).unwrap_or_default();
            let line = format!("- {}: {}", file.file, case.name.replace('\n', " "));
            match by_reason.iter_mut().find(|(known, _)| *known == why) {
                Some((_, lines)) => lines.push(line),
                None => by_reason.push((why, vec![line])),
            }
        }
        for (why, lines) in by_reason {
            let _ = writeln!(out, "\n{}\n\n{}", wrapped(&why), lines.join("\n"));
        }
        out
    }

    /// The failed cases, with their files.
    pub fn failures(&self) -> impl Iterator<Item = (&FileReport, &CaseReport)> {
        self.files.iter().flat_map(|file| file.cases.iter().filter(|c| !c.passed).map(move |case| (file, case)))
    }
}

/// How the page begins.
const COMPATIBILITY: &str = "# Compatibility with ksqlDB

Millstream runs cases of ksqlDB's own test suite: statements and records go in, records, answers and errors come out. A case
counts when what comes out is right twice, once with every record in an epoch of its own and once with all records in one
epoch. A case that expects an error counts when the error comes from the statement or record that is wrong and names what is
wrong with it. Nothing is left out.

`millstream test` runs such cases, and yours. This page is written by a test that runs all of them.
";

/// With one decimal, cut off: what is not all is not 100 %.
fn percent(passed: usize, all: usize) -> String {
    let tenths = (passed * 1000).checked_div(all).unwrap_or(1000);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// A paragraph in lines of 120 characters.
fn wrapped(text: &str) -> String {
    const LINE_MAX: usize = 120;
    let (mut out, mut length) = (String::new(), 0);
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if length > 0 && length + 1 + width > LINE_MAX {
            out.push('\n');
            length = 0;
        } else if length > 0 {
            out.push(' ');
            length += 1;
        }
        out.push_str(word);
        length += width;
    }
    out
}

fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            // XML 1.0 has no place for other control characters.
            c if c.is_control() && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::failure::Failure;

    fn report() -> Report {
        let verdict = |name: &str, failure: Option<(Cut, Failure)>| Verdict {
            file: "q/a.json".into(),
            name: name.into(),
            failure,
            took: Duration::from_millis(1_002),
        };
        let failure = Failure::new("a < b").with("x\n");
        Report::new(&[verdict("one", None), verdict("two", Some((Cut::All, failure)))], &[Cut::Records(1), Cut::All])
    }

    #[test]
    fn counts_and_names() {
        let report = report();
        assert_eq!((report.passed, report.failed), (1, 1));
        assert_eq!(report.folders().get("q"), Some(&(1, 2)));
        assert!(report.summary().ends_with("1 of 2 cases passed (per-record, one-batch)\n"), "{}", report.summary());
        let page = report.compatibility(&|_, _| None);
        assert!(page.contains("| q | 1 | 2 | 50.0 % |"), "{page}");
        assert!(page.contains("\na < b\n\n- q/a.json: two\n"), "{page}");
        let page = report.compatibility(&|file, case| (file == "q/a.json" && case == "two").then(|| "Why.".to_owned()));
        assert!(page.contains("\nWhy.\n\n- q/a.json: two\n"), "{page}");
    }

    #[test]
    fn junit_is_escaped() {
        let junit = report().junit();
        assert!(junit.contains("<testcase classname=\"q/a.json\" name=\"one\" time=\"1.002\"/>"), "{junit}");
        assert!(junit.contains("<failure message=\"a &lt; b\">one-batch&#10;x&#10;</failure>"), "{junit}");
    }
}
