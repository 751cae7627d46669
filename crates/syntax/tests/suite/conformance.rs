//! Every statement of the conformance cases parses, unless the case says that it must not, and what is printed of its
//! tree parses to the same text.
//!
//! The cases lie outside of the repository: in `$MILLSTREAM_SHARED/conformance`, else in `../shared/conformance` beside
//! the workspace. Without them the tests say loudly that they are skipped.

use syntax::{ast::StatementKind, parse};

use crate::cases;

#[test]
fn every_statement_parses_and_prints_the_same_again() {
    let Some(cases) = cases::load() else { return };
    let mut parsed = 0;
    let mut failures = Vec::new();
    for case in cases.iter().filter(|case| !case.must_not_parse) {
        for text in &case.texts {
            match parse(text, Some(&|_| None)) {
                Ok(statements) => {
                    parsed += statements.len();
                    let reprinted = statements.iter().filter_map(|s| reprint(&s.to_string()).err());
                    failures.extend(reprinted.map(|error| format!("{}\n{error}\n", case.name)));
                }
                Err(error) => failures.push(format!("{}\n{}\n", case.name, error.render(text))),
            }
        }
    }
    println!("{parsed} statements of {} cases parsed", cases.len());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(parsed > 0);
}

fn reprint(printed: &str) -> Result<(), String> {
    let statements = parse(printed, None).map_err(|error| error.render(printed))?;
    let again: Vec<String> = statements.iter().map(ToString::to_string).collect();
    if again == [printed] { Ok(()) } else { Err(format!("{printed}\nprints again as\n{}", again.join(";\n"))) }
}

#[test]
fn what_ksqldb_does_not_parse_is_refused_here_too() {
    // What these cases must not do is not for the grammar to know: test statements parse everywhere, and a property's
    // value is the planner's business.
    let elsewhere = |name: &str| name.contains("import table with invalid window size") || name.contains("RUN SCRIPT");
    let Some(cases) = cases::load() else { return };
    let accepted: Vec<&str> = cases
        .iter()
        .filter(|case| case.must_not_parse && !elsewhere(&case.name))
        .filter(|case| case.texts.iter().all(|text| parse(text, None).is_ok()))
        .map(|case| case.name.as_str())
        .collect();
    assert!(accepted.is_empty(), "{accepted:#?}");
}

#[test]
fn continuous_queries_are_never_left_to_the_general_parser() {
    let Some(cases) = cases::load() else { return };
    let mut selects = 0;
    for text in cases.iter().filter(|case| !case.must_not_parse).flat_map(|case| &case.texts) {
        for statement in parse(text, Some(&|_| None)).expect("parses") {
            if let StatementKind::Query(query) = &statement.kind {
                let general = matches!(query.body, syntax::ast::QueryBody::General(_));
                assert_eq!(general, statement.text.contains(" ORDER BY "), "{}", statement.text);
                selects += 1;
            }
        }
    }
    println!("{selects} queries are in the streaming grammar");
}
