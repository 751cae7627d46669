//! Nothing that is typed overflows the stack: too deep, too tall and too long are errors.

use syntax::{EXPRESSION_HEIGHT_MAX, NESTING_MAX, STATEMENT_BYTES_MAX, parse, parse_type};

fn check(text: &str, want: &str) {
    let message = parse(text, None).expect_err("too much").message().to_owned();
    assert!(message.contains(want), "{message}");
}

fn repeated(before: &str, count: usize, middle: &str, after: &str) -> String {
    format!("SELECT {}{middle}{}", before.repeat(count), after.repeat(count))
}

#[test]
fn deep_texts_are_refused() {
    let many = 100_000;
    check(&repeated("(", many, "1", ")"), "levels deep");
    check(&repeated("f(", many, "1", ")"), "levels deep");
    check(&repeated("NOT ", many, "a", ""), "levels deep");
    check(&repeated("- ", many, "a", ""), "levels deep");
    check(&repeated("x => ", 50_000, "1", ""), "levels deep");
    check(&repeated("CASE WHEN a THEN ", 40_000, "1", " END"), "levels deep");
    check(&repeated("ARRAY[", many, "1", "]"), "levels deep");
    check(&repeated("* FROM (SELECT ", 40_000, "1", ")"), "levels deep");
    check(&"EXPLAIN ".repeat(50_000), "levels deep");
    let ty = format!("{}INT{}", "ARRAY<".repeat(many), ">".repeat(many));
    assert!(parse_type(&ty).expect_err("too deep").message().contains("levels deep"));
    // Left to sqlparser.
    check(&format!("{} ORDER BY 1", repeated("(", many, "1", ")")), "levels deep");
}

#[test]
fn tall_expressions_are_refused() {
    check(&format!("SELECT 1{}", " + 1".repeat(100_000)), "operators tall");
    check(&format!("SELECT a{}", "[1]".repeat(100_000)), "operators tall");
    check(&format!("SELECT a{}", "->b".repeat(100_000)), "operators tall");
    check(&format!("SELECT 1{} ORDER BY 1", " + 1".repeat(100_000)), "more than");
    check(&format!("SELECT * FROM a{}", " JOIN b ON x".repeat(1_000)), "joins in one FROM");
    check(&format!("SELECT * FROM a{} ORDER BY 1", " CROSS JOIN b".repeat(100)), "joins in one query");
    check(&format!("SELECT * FROM a{} ORDER BY 1", ", b".repeat(200)), "sources in one query");
    check(&format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(100)), "SELECTs in one query");
    check(&format!("SELECT 1{} ORDER BY 1", " UNION SELECT 1".repeat(100)), "SELECTs in one query");
}

#[test]
fn what_can_be_read_in_several_ways_is_not_read_for_ever() {
    let deep = format!("{} ORDER BY 1", repeated("CAST(", 40, "x", ")"));
    // The error of our grammar, which got further.
    check(&deep, "expected AS");
}

#[test]
fn long_rows_of_conditions_are_not_tall() {
    let text = format!("SELECT * FROM s WHERE a = 0{}", " OR a = 1".repeat(10_000));
    let printed = parse(&text, None).expect("parses").remove(0).to_string();
    assert_eq!(printed.matches("OR").count(), 10_000);
    assert_eq!(parse(&printed, None).expect("parses").remove(0).to_string(), printed);
}

#[test]
fn what_is_allowed_fits_a_small_stack() {
    let work = || {
        let levels = NESTING_MAX - 8;
        for text in [
            repeated("f(CASE WHEN a THEN 1 ELSE ", levels / 2, "1", " END)"),
            repeated("(", levels - 2, "1", ")"),
            format!("SELECT {}", vec!["1"; EXPRESSION_HEIGHT_MAX].join(" || ")),
            format!("SELECT {} ORDER BY 1", vec!["1"; EXPRESSION_HEIGHT_MAX].join(" || ")),
        ] {
            let statement = parse(&text, None).expect("parses").remove(0);
            assert!(!statement.clone().to_string().is_empty());
        }
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(work).expect("a thread");
    thread.join().expect("fits");
}

#[test]
fn long_statements_are_refused_but_scripts_are_not() {
    check(&format!("SELECT '{}'", "x".repeat(STATEMENT_BYTES_MAX)), "longer than");
    let value = "y".repeat(STATEMENT_BYTES_MAX);
    let long = parse("SELECT '${v}'", Some(&|_| Some(value.clone()))).expect_err("too long");
    assert!(long.message().contains("longer than"));
    let script = format!("SELECT '{}';", "x".repeat(1_000)).repeat(2_000);
    assert_eq!(parse(&script, None).expect("parses").len(), 2_000);
}
