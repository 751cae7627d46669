//! Functions on URLs.

pub mod url_decode_param;
pub mod url_encode_param;
pub mod url_extract_fragment;
pub mod url_extract_host;
pub mod url_extract_parameter;
pub mod url_extract_path;
pub mod url_extract_port;
pub mod url_extract_protocol;
pub mod url_extract_query;

mod uri;

use crate::ScalarFunction;

/// All of them, by name.
pub(super) static FUNCTIONS: &[&dyn ScalarFunction] = &[
    &url_decode_param::FUNCTION,
    &url_encode_param::FUNCTION,
    &url_extract_fragment::FUNCTION,
    &url_extract_host::FUNCTION,
    &url_extract_parameter::FUNCTION,
    &url_extract_path::FUNCTION,
    &url_extract_port::FUNCTION,
    &url_extract_protocol::FUNCTION,
    &url_extract_query::FUNCTION,
];
