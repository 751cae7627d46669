//! What processes of a service say to each other: a statement of one word and a request in hexadecimal digits, whose rows
//! are the answer, cut in pieces. Requests and answers are the engine's; what they mean is of no interest here.
//!
//! ```sql
//! PEER 7b22…
//! ```

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BinaryArray, RecordBatch},
    datatypes::{DataType, Field, Schema},
};
use futures::stream;
use types::{Error, Result};

use crate::{
    backend::Backend,
    connection::RowStream,
    values::{PgType, ResultColumn},
};

const WORD: &str = "PEER";

/// Bytes of an answer that make a row.
const PIECE_BYTES: usize = 1 << 20;

/// The request, if the text is one.
pub(crate) fn recognize(text: &str) -> Option<Result<String>> {
    let digits = text.trim().strip_prefix(WORD)?.strip_prefix(' ')?;
    let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digits.trim().trim_end_matches(';').as_bytes().chunks(2).map(byte).collect();
    let request = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    Some(request.ok_or_else(|| Error::syntax("PEER: expected a request in hexadecimal digits")))
}

fn field() -> Field {
    Field::new("answer", DataType::Binary, false)
}

/// The column of the answer's rows.
pub(crate) fn columns() -> Arc<[ResultColumn]> {
    let field = field();
    let column = ResultColumn {
        name: field.name().clone(),
        pg_type: PgType::of_field(&field),
        data_type: field.data_type().clone(),
    };
    Arc::new([column])
}

/// The answer.
pub(crate) async fn answer<B: Backend>(backend: &Arc<B>, request: &str) -> RowStream {
    let answer = backend.answer(request).await;
    let schema = Arc::new(Schema::new(vec![field()]));
    let batches: Vec<Result<RecordBatch>> = answer
        .chunks(PIECE_BYTES)
        .map(|piece| {
            let column: ArrayRef = Arc::new(BinaryArray::from_iter_values([piece]));
            RecordBatch::try_new(Arc::clone(&schema), vec![column]).map_err(|e| Error::internal(e.to_string()))
        })
        .collect();
    RowStream::with_columns(columns(), Box::pin(stream::iter(batches)), false, "PEER")
}

#[cfg(test)]
mod tests {
    use super::recognize;

    #[test]
    fn a_request_is_hexadecimal() {
        let check = |text: &str, expect: Option<Option<&str>>| {
            let found = recognize(text).map(Result::ok);
            assert_eq!(found.as_ref().map(Option::as_deref), expect, "{text}");
        };
        check("PEER 7b7d", Some(Some("{}")));
        check(" PEER 7b7d;", Some(Some("{}")));
        check("PEER 7", Some(None));
        check("PEER xy", Some(None));
        check("PEERS 7b7d", None);
        check("SELECT 1", None);
    }
}
