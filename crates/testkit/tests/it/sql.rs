//! Runs the project's own cases: everything in the folder `sql` of the workspace, with both cuts.

use testkit::runner::CUTS;

use crate::support;

#[test]
fn the_projects_cases_pass() {
    let cases = testkit::load(&[support::workspace().join("sql")]).expect("the cases can be read");
    assert!(cases.len() >= 40, "only {} cases were found", cases.len());
    let report = support::run(cases, &CUTS);
    assert_eq!(report.failed, 0, "{}", support::failures(&report));
}
