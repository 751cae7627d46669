//! Cases in SQL: a file of statements in which lines such as `--@test: name` begin cases.
//!
//! Directives are comments to SQL, so that a part of a script can be pasted into any client. `--@pass.ms: 30000` before a
//! statement lets that much time pass, which stands still otherwise.

use std::path::Path;

use crate::case::{Body, Case, ScriptCase};

const TEST: &str = "--@test:";
const ERROR: &str = "--@expected.error:";
const MESSAGE: &str = "--@expected.message:";

/// The cases of a file; `directory` is where RUN SCRIPT looks for files.
///
/// # Errors
/// Statements before the first case, a case without a name.
pub fn load(file: &str, text: &str, directory: &Path) -> Result<Vec<Case>, String> {
    let mut cases: Vec<(String, ScriptCase)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix(TEST) {
            let name = name.trim();
            if name.is_empty() {
                return Err(format!("{file}:{number}: {TEST} without a name"));
            }
            let same = cases.iter().filter(|(known, _)| known.split(" #").next() == Some(name)).count();
            let name = if same == 0 { name.to_owned() } else { format!("{name} #{}", same + 1) };
            let body = ScriptCase {
                text: String::new(),
                first_line: number + 1,
                directory: directory.to_owned(),
                expected_error: None,
            };
            cases.push((name, body));
            continue;
        }
        let Some((_, case)) = cases.last_mut() else {
            if trimmed.is_empty() || trimmed.starts_with("--") {
                continue;
            }
            return Err(format!("{file}:{number}: a statement before the first {TEST}"));
        };
        if let Some(kind) = trimmed.strip_prefix(ERROR) {
            case.expected_error.get_or_insert_default().kind = kind.trim().to_owned();
        } else if let Some(message) = trimmed.strip_prefix(MESSAGE) {
            case.expected_error.get_or_insert_default().message = Some(message.trim().to_owned());
        }
        case.text.push_str(line);
        case.text.push('\n');
    }
    let case = |(name, body): (String, ScriptCase)| Case { file: file.to_owned(), name, body: Body::Script(body) };
    Ok(cases.into_iter().map(case).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&[(&str, usize, Option<&str>)], &str>) {
        let found = load("f.sql", text, Path::new("."));
        match (found, expect) {
            (Ok(cases), Ok(expect)) => {
                let found: Vec<_> = cases
                    .iter()
                    .map(|c| match &c.body {
                        Body::Script(s) => {
                            let message = s.expected_error.as_ref().and_then(|e| e.message.as_deref());
                            (c.name.as_str(), s.first_line, message)
                        }
                        Body::Records(_) => panic!("no script"),
                    })
                    .collect();
                assert_eq!(found, expect);
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, expect) => panic!("{found:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn directives_begin_cases() {
        check("-- words\n\n", Ok(&[]));
        check(
            "----\n--@test: a\nSELECT 1;\n--@test: b\n--@expected.error: X\n--@expected.message: no\nSELECT 2;",
            Ok(&[("a", 3, None), ("b", 5, Some("no"))]),
        );
        check("SELECT 1;\n--@test: a", Err("before the first"));
        check("--@test:\n", Err("without a name"));
        check("--@test: a\n--@test: a\n", Ok(&[("a", 2, None), ("a #2", 3, None)]));
    }
}
