//! SHOW name, SHOW ALL: session variables as rows.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use futures::stream;
use types::{Error, Result};

use crate::{
    connection::{Identity, RowStream},
    values::ResultColumn,
};

/// The columns of SHOW.
pub(crate) fn variable_columns(name: &str) -> Arc<[ResultColumn]> {
    if is_all(name) {
        ["name", "setting", "description"].map(ResultColumn::text).into()
    } else {
        [ResultColumn::text(&plain(name))].into()
    }
}

/// The rows of SHOW.
pub(crate) fn variable_rows(identity: &Identity, name: &str) -> Result<RowStream> {
    let variables = identity.variables.lock();
    let columns = variable_columns(name);
    let arrays: Vec<ArrayRef> = if is_all(name) {
        let all: Vec<_> = variables.all().collect();
        vec![
            Arc::new(StringArray::from_iter_values(all.iter().map(|v| v.0))),
            Arc::new(StringArray::from_iter_values(all.iter().map(|v| v.1))),
            Arc::new(StringArray::from_iter_values(all.iter().map(|v| v.2))),
        ]
    } else {
        vec![Arc::new(StringArray::from_iter_values([variables.show(&plain(name))?]))]
    };
    let fields = columns.iter().map(|c| Field::new(c.name.as_str(), DataType::Utf8, true)).collect::<Vec<_>>();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays);
    let batch = batch.map_err(|e| Error::internal(format!("SHOW: {e}")));
    Ok(RowStream::with_columns(columns, Box::pin(stream::iter([batch])), false, "SHOW"))
}

fn is_all(name: &str) -> bool {
    name.eq_ignore_ascii_case("all")
}

/// The variable that SHOW's older spellings mean.
fn plain(name: &str) -> String {
    match name.to_ascii_lowercase().split_whitespace().collect::<Vec<_>>().join(" ").as_str() {
        "time zone" => "TimeZone".to_owned(),
        "transaction isolation level" => "transaction_isolation".to_owned(),
        "session authorization" => "session_authorization".to_owned(),
        name => name.to_owned(),
    }
}
