//! Runs the conformance cases, where they are present: no folder may fall below what it once reached.

mod support;

use testkit::runner::CUTS;

/// Cases that pass, by folder. Raise a floor when more pass; never lower one.
const FLOORS: &[(&str, usize)] = &[("queries", 1385), ("requests", 243), ("scripts", 45)];

#[test]
fn no_folder_falls_below_its_floor() {
    let Some(folder) = support::conformance() else { return };
    let cases = testkit::load(&[folder]).expect("the cases can be read");
    let report = support::run(cases, &CUTS);
    let folders = report.folders();
    for (folder, floor) in FLOORS {
        let (passed, all) = folders.get(*folder).copied().unwrap_or_default();
        eprintln!("{folder}: {passed} of {all}");
        assert!(passed >= *floor, "{folder}: {passed} of {all} pass, {floor} did:\n{}", support::failures(&report));
    }
}
