//! Every statement of the conformance cases parses, unless the case says that it must not.
//!
//! The cases lie outside of the repository: in `$MILLSTREAM_SHARED/conformance`, else in `../shared/conformance` beside
//! the workspace. Without them the test says loudly that it was skipped.

mod cases;

#[test]
fn every_statement_parses() {
    let Some(cases) = cases::load() else { return };
    let mut parsed = 0;
    let mut failures = Vec::new();
    for case in cases.iter().filter(|case| !case.must_not_parse) {
        for text in &case.texts {
            match syntax::parse(text, Some(&|_| None)) {
                Ok(statements) => parsed += statements.len(),
                Err(error) => failures.push(format!("{}\n{}\n", case.name, error.render(text))),
            }
        }
    }
    println!("{parsed} statements of {} cases parsed", cases.len());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(parsed > 0);
}
