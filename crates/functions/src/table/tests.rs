//! What tests of table functions share.

use crate::{
    Arg, ArgType, RowErrors, TableFunction,
    testing::{column, show, ty, value},
};

/// The rows that come out for each row, of a column and of its slices.
pub(super) fn check(function: &dyn TableFunction, of: &str, rows: &[&str], want: &[&[&str]]) {
    let bound = function.bind(&[ArgType::Value(Some(ty(of)))]).expect("binds");
    let input = column(&ty(of), &rows.iter().map(|r| value(r)).collect::<Vec<_>>());
    for start in 0..=rows.len() {
        let length = rows.len() - start;
        let args = [Arg::Column(input.slice(start, length))];
        let (out, counts) = bound.kernel.evaluate(&args, length, &mut RowErrors::default()).expect("evaluates");
        assert_eq!(out.data_type(), &bound.return_type.to_arrow());
        let expect = &want[start..];
        assert_eq!(counts, expect.iter().map(|rows| rows.len() as u32).collect::<Vec<_>>());
        let shown: Vec<String> = (0..out.len()).map(|row| show(&out, row)).collect();
        assert_eq!(shown, expect.concat(), "{} from row {start}", function.doc().name);
    }
    if let (Some(first), Some(rows_of_first)) = (rows.first(), want.first()) {
        let args = [Arg::Constant(column(&ty(of), &[value(first)]))];
        let (out, counts) = bound.kernel.evaluate(&args, 2, &mut RowErrors::default()).expect("evaluates");
        assert_eq!(counts, [rows_of_first.len() as u32; 2]);
        assert_eq!(out.len(), 2 * rows_of_first.len());
    }
}

#[test]
fn the_list_is_sorted_and_found() {
    let names: Vec<&str> = super::TABLES.iter().map(|f| f.doc().name).collect();
    assert!(names.is_sorted());
    assert!(super::lookup("explode").is_some() && super::lookup("Unnest").is_some() && super::lookup("x").is_none());
}
