//! Inputs to begin from that the project has anyway: the SQL of its tests and pages.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace").to_owned()
}

fn files(folder: &str, extension: &str) -> Vec<String> {
    let entries = fs::read_dir(workspace().join(folder)).expect("a folder of the workspace");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == extension));
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).expect("text")).collect()
}

/// The scripts of `sql/`, a case each, and the blocks of SQL in the pages.
pub fn statements() -> Vec<String> {
    let mut out = vec![];
    for file in files("sql", "sql") {
        out.extend(
            file.split("--@test").skip(1).filter_map(|case| case.split_once('\n')).map(|(_, sql)| sql.to_owned()),
        );
    }
    for page in files(".", "md").into_iter().chain(files("docs", "md")) {
        let blocks = page.split("\n```sql\n").skip(1).filter_map(|rest| rest.split("\n```").next());
        out.extend(blocks.map(str::to_owned));
    }
    out
}

/// The examples of the page of functions, as expressions.
pub fn examples() -> Vec<String> {
    let page = fs::read_to_string(workspace().join("docs/functions.md")).expect("the page of functions");
    let example = |line: &str| Some(line.strip_prefix("- `")?.split("` → ").next()?.to_owned());
    page.lines().filter_map(example).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_are_many() {
        assert!(super::statements().len() > 100, "{}", super::statements().len());
        assert!(super::examples().len() > 100, "{}", super::examples().len());
    }
}
