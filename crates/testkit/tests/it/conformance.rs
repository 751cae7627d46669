//! Runs the conformance cases, where they are present: no folder may fall below what it once reached, no case may fail
//! without a reason, and docs/compatibility.md says what came out.
//!
//! With MILLSTREAM_UPDATE=1 the page is written instead of compared.

use std::{collections::BTreeSet, env, fs};

use testkit::{report::Report, runner::CUTS};

use crate::{
    differences::{self, DIFFERENCES},
    support,
};

/// Cases that pass, by folder. Raise a floor when more pass; never lower one, but where the dialect takes what a case
/// wants to be refused: MIN and MAX over tables, a foreign key behind another join, a join of streams by two columns.
const FLOORS: &[(&str, usize)] = &[("queries", 1383), ("requests", 244), ("scripts", 45)];

#[test]
fn the_page_of_compatibility_is_what_the_cases_say() {
    let Some(folder) = support::conformance() else {
        eprintln!("docs/compatibility.md is not checked");
        return;
    };
    let cases = testkit::load(&[folder]).expect("the cases can be read");
    let report = support::run(cases, &CUTS);
    check_floors(&report);
    check_reasons(&report);
    let reason = |file: &str, case: &str| differences::reason(file, case).map(str::to_owned);
    let page = report.compatibility(&reason);
    let path = support::workspace().join("docs/compatibility.md");
    if env::var_os("MILLSTREAM_UPDATE").is_some() {
        fs::write(&path, page).expect("writes");
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = page.lines().zip(written.lines()).find(|(want, have)| want != have);
    let how = "MILLSTREAM_UPDATE=1 cargo test -p testkit --test it conformance writes it";
    assert!(page == written, "docs/compatibility.md is stale, first at {differs:?}; {how}");
}

fn check_floors(report: &Report) {
    let folders = report.folders();
    for (folder, floor) in FLOORS {
        let (passed, all) = folders.get(*folder).copied().unwrap_or_default();
        eprintln!("{folder}: {passed} of {all}");
        assert!(passed >= *floor, "{folder}: {passed} of {all} pass, {floor} did:\n{}", support::failures(report));
    }
}

/// Every case that fails has a reason, and every reason is one of a case that fails.
fn check_reasons(report: &Report) {
    let failed: BTreeSet<(&str, &str)> =
        report.failures().map(|(file, case)| (file.file.as_str(), case.name.as_str())).collect();
    let explained: BTreeSet<(&str, &str)> =
        DIFFERENCES.iter().flat_map(|d| d.cases.iter().map(|(file, case)| (*file, *case))).collect();
    let unexplained: Vec<_> = failed.difference(&explained).collect();
    assert!(
        unexplained.is_empty(),
        "cases fail without a reason in tests/differences: {unexplained:#?}\n{}",
        support::failures(report)
    );
    let pass: Vec<_> = explained.difference(&failed).collect();
    assert!(pass.is_empty(), "cases pass, or are not there, and have a reason to fail in tests/differences: {pass:#?}");
}
