//! The reference page of all functions, made from their own words: `docs/functions.md`.

use std::{collections::BTreeMap, fmt::Write};

use crate::{FunctionDoc, aggregate::AGGREGATES, scalar::SCALARS, table::TABLES};

const HEAD: &str = "# Functions

Made from the functions' own words, which `DESCRIBE FUNCTION name` shows too; the examples are tests. Arguments in brackets
may be left out, `…` may be repeated. Where nothing else is said, a function of NULL is NULL. A row for which a function
fails gives NULL, is counted, and is an entry of the processing log. In queries that end, DataFusion's own functions can be
called besides; of two with the same name it is the one listed here.
";

/// The page.
pub fn page() -> String {
    let mut sections: BTreeMap<&str, Vec<&FunctionDoc>> = BTreeMap::new();
    for function in SCALARS.iter() {
        sections.entry(function.doc().category).or_default().push(function.doc());
    }
    let mut page = HEAD.to_string();
    for (category, functions) in &sections {
        section(&mut page, &format!("{} functions", title(category)), "", functions);
    }
    let aggregates: Vec<_> = AGGREGATES.iter().map(|f| f.doc()).collect();
    let what =
        "They are for queries with GROUP BY. Over a table a changed row is first taken back with its old values.";
    section(&mut page, "Aggregate functions", what, &aggregates);
    let tables: Vec<_> = TABLES.iter().map(|f| f.doc()).collect();
    section(&mut page, "Table functions", "They make any number of rows of one.", &tables);
    page
}

/// `DATE / TIME` → `Date and time`.
fn title(category: &str) -> String {
    match category {
        "JSON" | "URL" => category.to_string(),
        other => {
            let lower = other.replace(" / ", " and ").to_lowercase();
            let mut letters = lower.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        }
    }
}

fn section(page: &mut String, title: &str, what: &str, functions: &[&FunctionDoc]) {
    let _ = writeln!(page, "\n## {title}");
    if !what.is_empty() {
        let _ = writeln!(page, "\n{what}");
    }
    let mut functions = functions.to_vec();
    functions.sort_by_key(|doc| doc.name);
    for doc in functions {
        let _ = writeln!(page, "\n### {}\n", doc.name);
        let signatures: Vec<String> = doc.signatures.iter().map(|s| code(s)).collect();
        let _ = writeln!(page, "{}", signatures.join(" · "));
        let _ = writeln!(page, "\n{}", doc.description);
        if !doc.aliases.is_empty() {
            let aliases: Vec<String> = doc.aliases.iter().map(|a| code(a)).collect();
            let _ = writeln!(page, "Also called {}.", aliases.join(", "));
        }
        page.push('\n');
        for (call, result) in doc.examples {
            let _ = writeln!(page, "- {} → {}", code(call), code(result));
        }
    }
}

/// Text as code, whatever quotes are in it.
fn code(text: &str) -> String {
    match (text.is_empty(), text.contains('`')) {
        (true, _) => "an empty text".to_string(),
        (_, false) => format!("`{text}`"),
        (_, true) => format!("`` {text} ``"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_in_the_page_once() {
        let page = page();
        for name in crate::all().map(|(doc, _)| doc.name) {
            assert_eq!(page.matches(&format!("\n### {name}\n")).count(), 1, "{name}");
        }
    }

    #[test]
    fn words_are_written_as_they_are() {
        assert_eq!(title("DATE / TIME"), "Date and time");
        assert_eq!(title("URL"), "URL");
        assert_eq!(code("a `b`"), "`` a `b` ``");
    }
}
