//! Reads the statements of the conformance cases.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The texts of one case.
pub struct Case {
    /// File and name.
    pub name: String,
    /// Its statements, or the whole script.
    pub texts: Vec<String>,
    /// Whether ksqlDB's parser refuses one of them.
    pub must_not_parse: bool,
}

/// All cases, or `None` with a message when the folder is absent.
pub fn load() -> Option<Vec<Case>> {
    let folder = std::env::var_os("MILLSTREAM_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let folder = folder.join("conformance");
    if !folder.is_dir() {
        println!("SKIPPED: no conformance cases in {}; set MILLSTREAM_SHARED", folder.display());
        return None;
    }
    let mut cases = Vec::new();
    for (kind, extension) in [("queries", "json"), ("requests", "json"), ("scripts", "sql")] {
        let mut files: Vec<PathBuf> = fs::read_dir(folder.join(kind))
            .expect("the folder can be listed")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|e| e == extension))
            .collect();
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).expect("a case can be read");
            let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            match extension {
                "json" => cases.extend(json_cases(&name, &serde_json::from_str(&text).expect("a case is JSON"))),
                _ => cases.push(Case { name, texts: vec![text], must_not_parse: false }),
            }
        }
    }
    Some(cases)
}

fn json_cases(file: &str, document: &Value) -> Vec<Case> {
    let list = document.as_array().or_else(|| document.as_object()?.values().find_map(Value::as_array));
    let of = |case: &Value| Case {
        name: format!("{file}: {}", case["name"].as_str().unwrap_or("")),
        texts: case["statements"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        must_not_parse: is_refused(case),
    };
    list.into_iter().flatten().map(of).collect()
}

/// Whether ksqlDB's parser, or a rule that is in our grammar, refuses a statement of the case.
fn is_refused(case: &Value) -> bool {
    let says = |field: &str, what: &str| case[field]["message"].as_str().is_some_and(|message| message.contains(what));
    // The tree has no PARTITION BY of nothing and no negative LIMIT. ORDER BY is ours.
    case["expectedException"]["type"].as_str().is_some_and(|ty| ty.contains("ParseFailed"))
        || says("expectedException", "requires at least one expression")
        || says("expectedError", "in the LIMIT clause")
        || says("expectedError", "Syntax Error") && !says("expectedError", "ORDER BY")
}
