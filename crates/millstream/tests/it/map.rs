//! The map is the territory: crates and their dependencies are as docs/ARCHITECTURE.md says, what the docs point to is
//! there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::support::workspace;

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Cells of the table rows behind a heading, without the table's head.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let section = text.split(&format!("\n## {heading}\n")).nth(1).expect("the heading");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|l| l.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The manifests of all crates.
fn manifests() -> Vec<toml::Table> {
    let folders =
        fs::read_dir(workspace().join("crates")).expect("crates/").map(|entry| entry.expect("a folder").path());
    let manifests = folders.chain([workspace().join("benches")]).map(|folder| folder.join("Cargo.toml"));
    manifests.map(|path| read(&path).parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))).collect()
}

/// Crates by name, with those of the workspace that they depend on (tests apart).
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let parsed = manifests();
    let name = |manifest: &toml::Table| manifest["package"]["name"].as_str().expect("a name").to_owned();
    let own: BTreeSet<String> = parsed.iter().map(name).collect();
    let needs = |manifest: &toml::Table| -> BTreeSet<String> {
        let parts =
            ["dependencies", "build-dependencies"].into_iter().filter_map(|part| manifest.get(part)?.as_table());
        parts.flat_map(|table| table.keys().cloned()).filter(|dependency| own.contains(dependency)).collect()
    };
    parsed.iter().map(|manifest| (name(manifest), needs(manifest))).collect()
}

#[test]
fn dependencies_point_up_the_list_of_crates() {
    let text = read(&workspace().join("docs/ARCHITECTURE.md"));
    let listed: Vec<String> =
        table(&text, "Crates").iter().map(|row| row.first().expect("a name").trim_matches('`').to_owned()).collect();
    let crates = crates();
    let (in_list, there): (BTreeSet<_>, BTreeSet<_>) = (listed.iter().collect(), crates.keys().collect());
    assert_eq!(in_list, there, "docs/ARCHITECTURE.md lists the crates that there are");
    let place = |name: &str| listed.iter().position(|l| l == name).expect("listed");
    for (name, needs) in &crates {
        for needed in needs {
            assert!(place(needed) < place(name), "{name} depends on {needed}, which stands below it in the list");
        }
    }
}

#[test]
fn cargo_run_starts_the_server() {
    let defaults: Vec<toml::Value> =
        manifests().iter().filter_map(|m| m["package"].get("default-run").cloned()).collect();
    assert_eq!(defaults, [toml::Value::from("millstream")], "README's first command names no binary");
}

#[test]
fn rooms_and_lists_of_the_map_are_there() {
    let text = read(&workspace().join("docs/ARCHITECTURE.md"));
    for row in table(&text, "Where to put what") {
        // Paths in the map begin with a crate's name; `…` and `<…>` stand for what is new.
        for path in row.iter().skip(1).flat_map(|cell| quoted(cell)).filter(|text| text.contains('/')) {
            let known = path.split(['<', '…']).next().unwrap_or_default();
            let places = [workspace().join("crates").join(known), workspace().join(known)];
            assert!(places.iter().any(|place| place.exists()), "the map says {path}, and there is none");
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let mut pages = vec![workspace().join("README.md"), workspace().join("CHANGELOG.md")];
    for folder in ["docs", "docs/decisions"] {
        let entries = fs::read_dir(workspace().join(folder)).expect("docs").map(|entry| entry.expect("a page").path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    for page in pages {
        let text = read(&page);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let file = link.split('#').next().unwrap_or_default();
            let target = page.parent().expect("a folder").join(file);
            assert!(target.exists(), "{} links to {link}, which is not there", page.display());
        }
    }
}
