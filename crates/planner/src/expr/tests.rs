use arrow::{
    array::{Array, ArrayRef, Int64Array, StringArray},
    record_batch::RecordBatch,
};
use functions::RowErrors;
use types::SqlType;

use super::*;
use crate::plan::{FieldDef, Fields};

/// Columns of the tests' rows.
fn fields() -> Fields {
    let schema = "ID INT, N BIGINT, D DOUBLE, DEC DECIMAL(4, 2), S STRING, T STRING, B BOOLEAN, DAY DATE, TS TIMESTAMP, \
                  A ARRAY<INT>, M MAP<STRING, BIGINT>, ST STRUCT<F INT, G STRUCT<H STRING>>, BY1 BYTES, ROWTIME BIGINT";
    let columns = syntax::parse_schema(schema).expect("a schema").into_iter().map(|c| FieldDef {
        qualifier: Some("X".into()),
        name: c.name.value,
        ty: crate::ddl::resolve_type(&c.ty, None).expect("a type"),
        key: false,
        hidden: false,
    });
    Fields { columns: columns.collect() }
}

/// Row 0 has values, row 1 other ones, row 2 is all NULL.
fn batch() -> RecordBatch {
    let rows = [
        "1, 10, 1.5E0, 12.34, 'abc', '7', TRUE, '2020-01-02', '2020-01-02T03:04:05', ARRAY[1, 2, 3], \
         MAP('k' := 5, 'l' := 6), STRUCT(F := 1, G := STRUCT(H := 'deep')), NULL, 1577934245000",
        "2, -3, -0.5E0, -0.50, 'xyz', 'no', FALSE, '1969-12-31', '1969-12-31T23:59:59', ARRAY[NULL], \
         MAP('z' := CAST(NULL AS BIGINT)), STRUCT(F := 2, G := NULL), NULL, 0",
    ];
    let fields = fields();
    let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::new(); fields.columns.len()];
    for row in rows {
        let row = syntax::parse_expression(&format!("ROW({row})")).expect("a row");
        let syntax::ast::ExprKind::Call { args, .. } = row.kind else { panic!("no row") };
        for ((cells, field), cell) in columns.iter_mut().zip(&fields.columns).zip(&args) {
            let bound = bind_as(cell, &Scope::empty(), &Context::default(), &field.ty, true);
            let bound = bound.unwrap_or_else(|e| panic!("{}: {e}", field.name));
            cells.push(constant_value(&bound).expect("a constant"));
        }
    }
    let columns = columns.into_iter().zip(&fields.columns).map(|(mut cells, field)| {
        cells.push(arrow::array::new_null_array(&field.ty.to_arrow(), 1));
        let cells: Vec<&dyn Array> = cells.iter().map(AsRef::as_ref).collect();
        arrow::compute::concat(&cells).expect("one column")
    });
    RecordBatch::try_new(fields.to_arrow(), columns.collect()).expect("a batch")
}

fn bound(sql: &str) -> Result<Bound> {
    let scope = Scope::of_fields(&fields());
    bind(&syntax::parse_expression(sql)?, &scope, &Context { clause: "SELECT", ..Context::default() })
}

/// `sql` is bound as text `shown` of type `ty` and has these values; `!` after a value: the row failed.
#[track_caller]
fn check(sql: &str, shown: &str, ty: &str, values: [&str; 3]) {
    let bound = bound(sql).unwrap_or_else(|e| panic!("{}", e.render(sql)));
    assert_eq!(expr_text(&bound.expr), shown, "{sql}");
    assert_eq!(bound.ty.as_ref().map_or("NULL".to_owned(), ToString::to_string), ty, "{sql}");
    let mut errors = RowErrors::default();
    let array = evaluate(&bound.expr, &batch(), &mut errors).expect("no row fails the batch");
    assert_eq!(array.len(), 3, "{sql}");
    if let Some(ty) = &bound.ty {
        assert_eq!(*array.data_type(), ty.to_arrow(), "{sql}");
    }
    let got: Vec<String> = (0..3)
        .map(|row| {
            let failed = errors.rows.iter().any(|(r, _)| *r == row);
            format!("{}{}", text::element(array.as_ref(), row), if failed { "!" } else { "" })
        })
        .collect();
    assert_eq!(got, values, "{sql} with {errors:?}");
    // Batches of one row say the same.
    for (row, expect) in values.iter().enumerate() {
        let mut errors = RowErrors::default();
        let array = evaluate(&bound.expr, &batch().slice(row, 1), &mut errors).expect("no row fails the batch");
        let failed = if errors.rows.is_empty() { "" } else { "!" };
        assert_eq!(format!("{}{failed}", text::element(array.as_ref(), 0)), *expect, "{sql}, row {row} alone");
    }
}

/// `sql` is refused with this rendering.
#[track_caller]
fn check_error(sql: &str, expect: &str) {
    let error = match bound(sql) {
        Ok(bound) => panic!("{sql} is bound as {}", expr_text(&bound.expr)),
        Err(error) => error,
    };
    assert_eq!(error.render(sql), expect);
}

#[test]
fn columns_and_literals() {
    check("n", "X.N", "BIGINT", ["10", "-3", "NULL"]);
    check("X.s", "X.S", "STRING", ["'abc'", "'xyz'", "NULL"]);
    check("5", "5", "INTEGER", ["5", "5", "5"]);
    check("-2147483649", "-2147483649", "BIGINT", ["-2147483649"; 3]);
    check("-1.50", "-1.50", "DECIMAL(3, 2)", ["-1.50"; 3]);
    check("'it''s'", "'it''s'", "STRING", ["'it''s'"; 3]);
    check("NULL", "NULL", "NULL", ["NULL"; 3]);
    check("TRUE", "TRUE", "BOOLEAN", ["TRUE"; 3]);
}

#[test]
fn arithmetic() {
    check("id + n", "(CAST(X.ID AS BIGINT) + X.N)", "BIGINT", ["11", "-1", "NULL"]);
    check("1 + 2 * 3", "7", "INTEGER", ["7"; 3]);
    check("n / (id - 1)", "(X.N / CAST((X.ID - 1) AS BIGINT))", "BIGINT", ["NULL!", "-3", "NULL"]);
    check("1 / 0", "(1 / 0)", "INTEGER", ["NULL!"; 3]);
    check("-n", "-X.N", "BIGINT", ["-10", "3", "NULL"]);
    check("s || t", "CONCAT(X.S, X.T)", "STRING", ["'abc7'", "'xyzno'", "''"]);
    check("s + t", "(X.S + X.T)", "STRING", ["'abc7'", "'xyzno'", "NULL"]);
}

#[test]
fn comparisons_with_null_are_false() {
    check("n = 10", "(X.N = 10)", "BOOLEAN", ["TRUE", "FALSE", "FALSE"]);
    check("n <> 10", "(X.N <> 10)", "BOOLEAN", ["FALSE", "TRUE", "FALSE"]);
    check("NOT n = 10", "(NOT (X.N = 10))", "BOOLEAN", ["FALSE", "TRUE", "TRUE"]);
    check("n IS DISTINCT FROM 10", "(X.N IS DISTINCT FROM 10)", "BOOLEAN", ["FALSE", "TRUE", "TRUE"]);
    check("s IS NULL", "(X.S IS NULL)", "BOOLEAN", ["FALSE", "FALSE", "TRUE"]);
    check("s IS NOT NULL", "(X.S IS NOT NULL)", "BOOLEAN", ["TRUE", "TRUE", "FALSE"]);
    check("n BETWEEN -3 AND 5", "((X.N >= -3) AND (X.N <= 5))", "BOOLEAN", ["FALSE", "TRUE", "FALSE"]);
    check("n NOT BETWEEN -3 AND 5", "(NOT ((X.N >= -3) AND (X.N <= 5)))", "BOOLEAN", ["TRUE", "FALSE", "TRUE"]);
    check("a = ARRAY[1, 2, 3]", "(X.A = ARRAY[1, 2, 3])", "BOOLEAN", ["TRUE", "FALSE", "FALSE"]);
    check("m = MAP('l' := 6, 'k' := 5)", "(X.M = MAP('l' := 6, 'k' := 5))", "BOOLEAN", ["TRUE", "FALSE", "FALSE"]);
}

#[test]
fn constants_take_the_columns_type_when_they_are_the_same_number() {
    check("n > 2.0", "(X.N > 2)", "BOOLEAN", ["TRUE", "FALSE", "FALSE"]);
    check("n > 2.5", "(CAST(X.N AS DECIMAL(20, 1)) > 2.5)", "BOOLEAN", ["TRUE", "FALSE", "FALSE"]);
    check("dec = 12.340", "(X.DEC = 12.34)", "BOOLEAN", ["TRUE", "FALSE", "FALSE"]);
    check("5000000000 > id", "(5000000000 > CAST(X.ID AS BIGINT))", "BOOLEAN", ["TRUE", "TRUE", "FALSE"]);
}

#[test]
fn times_and_texts() {
    check("day = '2020-01-02'", "(X.DAY = '2020-01-02')", "BOOLEAN", ["TRUE", "FALSE", "FALSE"]);
    check("ts > day", "(X.TS > CAST(X.DAY AS TIMESTAMP))", "BOOLEAN", ["TRUE", "TRUE", "FALSE"]);
    check("rowtime >= '2020'", "(X.ROWTIME >= 1577836800000)", "BOOLEAN", ["TRUE", "FALSE", "FALSE"]);
    check("'1970-01-01' = rowtime", "(0 = X.ROWTIME)", "BOOLEAN", ["FALSE", "TRUE", "FALSE"]);
    check_error(
        "day = 'soon'",
        "ERROR: 'soon' is not a DATE: expected yyyy-MM-dd, or a beginning of it\nLINE 1: day = 'soon'\n              ^^^^^^",
    );
}

#[test]
fn a_comparison_with_what_failed_is_null() {
    check("CAST(t AS INT) = 7", "(CAST(X.T AS INTEGER) = 7)", "BOOLEAN", ["TRUE", "NULL!", "FALSE"]);
    check("NOT CAST(t AS INT) = 7", "(NOT (CAST(X.T AS INTEGER) = 7))", "BOOLEAN", ["FALSE", "NULL!", "TRUE"]);
}

#[test]
fn and_or_look_to_the_right_only_if_need_be() {
    check(
        "id = 1 AND CAST(t AS INT) = 7",
        "((X.ID = 1) AND (CAST(X.T AS INTEGER) = 7))",
        "BOOLEAN",
        ["TRUE", "FALSE", "FALSE"],
    );
    check(
        "id = 2 OR CAST(t AS INT) = 7",
        "((X.ID = 2) OR (CAST(X.T AS INTEGER) = 7))",
        "BOOLEAN",
        ["TRUE", "TRUE", "FALSE"],
    );
    check(
        "id = 2 AND CAST(t AS INT) = 7",
        "((X.ID = 2) AND (CAST(X.T AS INTEGER) = 7))",
        "BOOLEAN",
        ["FALSE", "NULL!", "FALSE"],
    );
    check("b AND NULL", "(X.B AND NULL)", "BOOLEAN", ["NULL", "FALSE", "NULL"]);
}

#[test]
fn case_evaluates_what_it_chooses() {
    check(
        "CASE WHEN id = 1 THEN CAST(t AS INT) ELSE 0 END",
        "CASE WHEN (X.ID = 1) THEN CAST(X.T AS INTEGER) ELSE 0 END",
        "INTEGER",
        ["7", "0", "0"],
    );
    check(
        "CASE WHEN id = 2 THEN CAST(t AS BIGINT) WHEN id = 1 THEN id END",
        "CASE WHEN (X.ID = 2) THEN CAST(X.T AS BIGINT) WHEN (X.ID = 1) THEN CAST(X.ID AS BIGINT) END",
        "BIGINT",
        ["1", "NULL!", "NULL"],
    );
    check(
        "CASE s WHEN 'abc' THEN 'x' ELSE s END",
        "CASE WHEN (X.S = 'abc') THEN 'x' ELSE X.S END",
        "STRING",
        ["'x'", "'xyz'", "NULL"],
    );
    check("CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END", "'b'", "STRING", ["'b'"; 3]);
    check_error(
        "CASE WHEN b THEN NULL END",
        "ERROR: All branches of the CASE are NULL, so it has no type\nLINE 1: CASE WHEN b THEN NULL END\n        \
         ^^^^^^^^^^^^^^^^^^^^^^^^^\nHINT: CAST one of them: CAST(NULL AS STRING)",
    );
}

#[test]
fn in_lists() {
    check("id IN (1, 5, NULL)", "(X.ID IN (1, 5, NULL))", "BOOLEAN", ["TRUE", "FALSE", "FALSE"]);
    check("id NOT IN (1, 5)", "(NOT (X.ID IN (1, 5)))", "BOOLEAN", ["FALSE", "TRUE", "TRUE"]);
    check("s IN ('abc', 10)", "(X.S IN ('abc', '10'))", "BOOLEAN", ["TRUE", "FALSE", "FALSE"]);
    check(
        "id IN (n, 2)",
        "((CAST(X.ID AS BIGINT) = X.N) OR (CAST(X.ID AS BIGINT) = 2))",
        "BOOLEAN",
        ["FALSE", "TRUE", "FALSE"],
    );
    check("id IN ('2', 3.0)", "(CAST(X.ID AS DECIMAL(11, 1)) IN (2.0, 3.0))", "BOOLEAN", ["FALSE", "TRUE", "FALSE"]);
    check(
        "a IN (ARRAY['1', '2', 3.0])",
        "(CAST(X.A AS ARRAY<DECIMAL(11, 1)>) = ARRAY[1.0, 2.0, 3.0])",
        "BOOLEAN",
        ["TRUE", "FALSE", "FALSE"],
    );
    check_error(
        "id IN (10, true)",
        "ERROR: operator does not exist: INTEGER = BOOLEAN (TRUE)\nLINE 1: id IN (10, true)\n                   \
         ^^^^\nHINT: an explicit CAST may make the types agree",
    );
    let error = bound("n IN (10, '10 - not a number')").map(|b| expr_text(&b.expr)).expect_err("refused");
    assert_eq!(error.message(), "invalid input syntax for type BIGINT: \"10 - not a number\"");
    assert_eq!(error.span().map(|s| (s.start, s.end)), Some((10, 29)));
    let error = bound("dec IN (10, s)").map(|b| expr_text(&b.expr)).expect_err("refused");
    assert_eq!(error.message(), "operator does not exist: DECIMAL(12, 2) = STRING (X.S)");
}

#[test]
fn like() {
    check("s LIKE 'a%'", "(X.S LIKE 'a%')", "BOOLEAN", ["TRUE", "FALSE", "FALSE"]);
    check("s NOT LIKE '_y_'", "(NOT (X.S LIKE '_y_'))", "BOOLEAN", ["TRUE", "FALSE", "TRUE"]);
}

#[test]
fn containers() {
    check("a[1]", "X.A[1]", "INTEGER", ["1", "NULL", "NULL"]);
    check("a[-1]", "X.A[-1]", "INTEGER", ["3", "NULL", "NULL"]);
    check("m['k']", "X.M['k']", "BIGINT", ["5", "NULL", "NULL"]);
    check("st->g->h", "X.ST->G->H", "STRING", ["'deep'", "NULL", "NULL"]);
    check(
        "ARRAY[id, n]",
        "ARRAY[CAST(X.ID AS BIGINT), X.N]",
        "ARRAY<BIGINT>",
        ["ARRAY[1, 10]", "ARRAY[2, -3]", "ARRAY[NULL, NULL]"],
    );
    check("MAP('a' := id, 'a' := 9)", "MAP('a' := X.ID, 'a' := 9)", "MAP<STRING, INTEGER>", ["MAP('a' := 9)"; 3]);
    check(
        "STRUCT(x := id, y := s)",
        "STRUCT(X := X.ID, Y := X.S)",
        "STRUCT<`X` INTEGER, `Y` STRING>",
        ["STRUCT(X := 1, Y := 'abc')", "STRUCT(X := 2, Y := 'xyz')", "STRUCT(X := NULL, Y := NULL)"],
    );
    check("ARRAY[STRUCT(x := 1)][1]->x", "1", "INTEGER", ["1"; 3]);
    check_error(
        "ARRAY[NULL]",
        "ERROR: Cannot construct an array that has only NULL elements: its type is unknown\nLINE 1: ARRAY[NULL]\n        \
         ^^^^^^^^^^^\nHINT: CAST an element to the type that is meant: ARRAY[CAST(NULL AS INT)]",
    );
    check_error(
        "st->ff",
        "ERROR: X.ST: STRUCT<`F` INTEGER, `G` STRUCT<`H` STRING>> has no field 'FF'\nLINE 1: st->ff\n            \
         ^^\nHINT: did you mean 'F'?",
    );
}

#[test]
fn names() {
    check_error(
        "ids + 1",
        "ERROR: SELECT column 'IDS' cannot be resolved\nLINE 1: ids + 1\n        ^^^\nHINT: did you mean ID?",
    );
    check_error(
        "y.id",
        "ERROR: 'Y' is not a valid stream/table name or alias\nLINE 1: y.id\n        ^\nHINT: did you mean X?",
    );
    check_error(
        "st.f",
        "ERROR: 'ST' is not a valid stream/table name or alias\nLINE 1: st.f\n        ^^\nHINT: ST is a column; a field \
         of a STRUCT is written ST->F",
    );
    check_error(
        "`id`",
        "ERROR: SELECT column 'id' cannot be resolved\nLINE 1: `id`\n        ^^^^\nHINT: there is a column ID: names are \
         folded to upper case unless they stand in back quotes",
    );
    check_error(
        "substrin(s, 1)",
        "ERROR: Can't find any functions with the name 'SUBSTRIN'\nLINE 1: substrin(s, 1)\n        ^^^^^^^^\nHINT: did you \
         mean SUBSTRING?",
    );
    check_error("sum(n)", "ERROR: SUM is an aggregate function and cannot be used here\nLINE 1: sum(n)\n        ^^^");
}

#[test]
fn an_ambiguous_name_says_what_it_could_be() {
    let mut both = fields();
    both.columns.extend(fields().columns.into_iter().map(|f| FieldDef { qualifier: Some("Y".into()), ..f }));
    let error = bind(&syntax::parse_expression("n").expect("a name"), &Scope::of_fields(&both), &Context::default());
    let error = error.map(|b| expr_text(&b.expr)).expect_err("refused");
    assert_eq!(error.message(), "Column 'N' is ambiguous. Could be X.N or Y.N");
    assert_eq!(error.sqlstate(), "42702");
}

#[test]
fn type_errors_name_both_sides() {
    check_error(
        "s = 'abc' AND id >= 'not an int'",
        "ERROR: Cannot compare X.ID (INTEGER) to 'not an int' (STRING) with >=\nLINE 1: s = 'abc' AND id >= 'not an \
         int'\n                      ^^^^^^^^^^^^^^^^^^\nHINT: CAST one side to the type of the other",
    );
    check_error(
        "NULL <> NULL",
        "ERROR: Comparison with NULL not supported: NULL <> NULL\nLINE 1: NULL <> NULL\n        ^^^^^^^^^^^^\nHINT: use \
         IS NULL or IS NOT NULL",
    );
    check_error(
        "m < m",
        "ERROR: Cannot compare X.M (MAP<STRING, BIGINT>) to X.M (MAP<STRING, BIGINT>) with <\nLINE 1: m < m\n        ^^^^^\nHINT: CAST one side to the type of the other",
    );
    check_error("id AND b", "ERROR: AND takes BOOLEANs, but X.ID is INTEGER\nLINE 1: id AND b\n        ^^");
}

#[test]
fn lambdas_capture() {
    check(
        "TRANSFORM(a, x => x + id)",
        "TRANSFORM(X.A, X => (X + X.ID))",
        "ARRAY<INTEGER>",
        ["ARRAY[2, 3, 4]", "ARRAY[NULL]", "NULL"],
    );
    check(
        "REDUCE(a, n, (s, x) => s + x * n)",
        "REDUCE(X.A, X.N, (S, X) => (S + (CAST(X AS BIGINT) * X.N)))",
        "BIGINT",
        ["70", "NULL", "NULL"],
    );
    check(
        "TRANSFORM(ARRAY[a], y => TRANSFORM(y, x => x * id + ARRAY_LENGTH(y)))",
        "TRANSFORM(ARRAY[X.A], Y => TRANSFORM(Y, X => ((X * X.ID) + ARRAY_LENGTH(Y))))",
        "ARRAY<ARRAY<INTEGER>>",
        ["ARRAY[ARRAY[4, 5, 6]]", "ARRAY[ARRAY[NULL]]", "ARRAY[NULL]"],
    );
    check(
        "FILTER(a, x => 6 / (x - 1) > 4)",
        "FILTER(X.A, X => ((6 / (X - 1)) > 4))",
        "ARRAY<INTEGER>",
        ["ARRAY[2]!", "ARRAY[]", "NULL"],
    );
}

#[test]
fn columns_are_found_and_moved() {
    let bound = bound("TRANSFORM(a, x => x + id)[1] + CASE WHEN b THEN n ELSE 0 END").expect("an expression");
    assert_eq!(columns_used(&bound.expr), BTreeSet::from([0, 1, 6, 9]));
    let moved = remap(&bound.expr, &|at| at + 100);
    assert_eq!(columns_used(&moved), BTreeSet::from([100, 101, 106, 109]));
    assert_eq!(expr_text(&moved), expr_text(&bound.expr));
    assert_eq!(remap(&moved, &|at| at - 100).as_ref(), bound.expr.as_ref());
}

#[test]
fn parameters_get_types_and_values() {
    let scope = Scope::of_fields(&fields());
    let parameters = Parameters::default();
    let context = Context::default().with_parameters(&parameters);
    let bind_one = |sql: &str| bind(&syntax::parse_expression(sql).expect("sql"), &scope, &context);
    let bound = bind_one("n = $1 AND s LIKE $2 AND id + $3 > 4").expect("parameters");
    assert_eq!(parameters.types(), [SqlType::BigInt, SqlType::String, SqlType::Int]);
    assert_eq!(expr_text(&bound.expr), "(((X.N = $1) AND (X.S LIKE $2)) AND ((X.ID + $3) > 4))");
    assert!(has_parameters(&bound.expr));
    let values: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![10])),
        Arc::new(StringArray::from(vec!["a%"])),
        Arc::new(arrow::array::Int32Array::from(vec![4])),
    ];
    let ready = bind_values(&bound.expr, &values).expect("values");
    assert!(!has_parameters(&ready));
    let array = evaluate(&ready, &batch(), &mut RowErrors::default()).expect("a result");
    assert_eq!(text::element(array.as_ref(), 0), "TRUE");
    let missing = bind_values(&bound.expr, &[]).map(|b| expr_text(&b)).expect_err("refused");
    assert_eq!(missing.message(), "parameter $1 has no value: 0 were given");
}

#[test]
fn conversions_need_a_cast_unless_they_widen() {
    let as_type = |sql: &str, ty: SqlType| {
        let expr = syntax::parse_expression(sql).expect("sql");
        bind_as(&expr, &Scope::of_fields(&fields()), &Context::default(), &ty, true)
            .map(|b| expr_text(&b))
            .map_err(|e| e.message().to_owned())
    };
    assert_eq!(as_type("id", SqlType::BigInt), Ok("CAST(X.ID AS BIGINT)".into()));
    assert_eq!(as_type("n", SqlType::Int), Err("X.N is BIGINT where INTEGER is expected".into()));
    assert_eq!(as_type("'12'", SqlType::Int), Ok("12".into()));
    assert_eq!(as_type("'tru'", SqlType::Boolean), Ok("TRUE".into()));
    assert_eq!(as_type("NULL", SqlType::Date), Ok("NULL".into()));
    let st = SqlType::Struct(vec![
        types::StructField { name: "A".into(), ty: SqlType::BigInt },
        types::StructField { name: "B".into(), ty: SqlType::Double },
    ]);
    assert_eq!(as_type("STRUCT(A := 1)", st.clone()), Ok("STRUCT(A := 1, B := NULL)".into()));
    assert!(as_type("STRUCT(C := 1)", st).is_err_and(|e| e.contains("has no field 'C'")));
}

/// Every example in the words of every function is true.
#[test]
fn examples_of_functions() {
    let mut wrong = Vec::new();
    for function in functions::scalar::SCALARS.iter() {
        for (sql, expect) in function.doc().examples {
            let got = example(sql);
            if got.as_deref() != Ok(*expect) {
                wrong.push(format!("{}: {sql} gave {got:?}, not {expect:?}", function.doc().name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn example(sql: &str) -> Result<String, String> {
    let expr = syntax::parse_expression(sql).map_err(|e| e.render(sql))?;
    let bound = bind(&expr, &Scope::empty(), &Context::default()).map_err(|e| e.render(sql))?;
    let batch = fold::one_row().ok_or("no batch")?;
    let mut errors = RowErrors::default();
    let array = evaluate(&bound.expr, &batch, &mut errors).map_err(|e| e.to_string())?;
    Ok(functions::operator::value_to_string(array.as_ref(), 0).unwrap_or_else(|| "NULL".to_owned()))
}
