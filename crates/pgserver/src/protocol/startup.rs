//! What comes before a session: requests for encryption, a cancel request, or the startup message.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWriteExt;

use super::{Input, ProtocolError, STARTUP_BYTES_MAX};

const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

/// How often a client may ask for encryption, of one kind or the other, before it begins.
const ENCRYPTION_REQUESTS_MAX: usize = 4;

/// The packet that says what the connection is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// A session with these parameters (`user`, `database`, `application_name`, …). `minor` is the protocol's minor
    /// version; options that start with `_pq_.` are listed apart, because they must be refused by name.
    Startup { minor: u16, parameters: BTreeMap<String, String>, unknown_options: Vec<String> },
    /// Cancel what the session of that process id and secret runs.
    Cancel { process: u32, secret: Bytes },
    /// The client went away.
    Gone,
}

/// Reads packets until one says what the connection is for; answers requests for encryption with "no".
pub(crate) async fn read_greeting(
    input: &mut Input,
    output: &mut (impl AsyncWriteExt + Unpin),
) -> std::io::Result<Result<Greeting, ProtocolError>> {
    for _ in 0..ENCRYPTION_REQUESTS_MAX {
        let Some(mut body) = (match input.untyped(STARTUP_BYTES_MAX).await? {
            Ok(body) => body,
            Err(e) => return Ok(Err(e)),
        }) else {
            return Ok(Ok(Greeting::Gone));
        };
        match body.try_get_u32() {
            Ok(SSL | GSS) => {
                output.write_all(b"N").await?;
                output.flush().await?;
            }
            Ok(CANCEL) => {
                return Ok(match body.try_get_u32() {
                    Ok(process) => Ok(Greeting::Cancel { process, secret: body }),
                    Err(_) => Err(ProtocolError::Malformed("CancelRequest")),
                });
            }
            Ok(version) => return Ok(startup(version, body)),
            Err(_) => return Ok(Err(ProtocolError::Malformed("startup"))),
        }
    }
    Ok(Err(ProtocolError::Malformed("encryption request")))
}

fn startup(version: u32, body: Bytes) -> Result<Greeting, ProtocolError> {
    let (major, minor) = ((version >> 16), (version & 0xffff));
    let (major, minor) = (u16::try_from(major).unwrap_or(0), u16::try_from(minor).unwrap_or(0));
    if major != 3 {
        return Err(ProtocolError::Version(major, minor));
    }
    let text = std::str::from_utf8(&body).map_err(|_| ProtocolError::Encoding("startup"))?;
    let mut parts = text.split('\0');
    let mut parameters = BTreeMap::new();
    let mut unknown_options = Vec::new();
    while let Some(name) = parts.next().filter(|name| !name.is_empty()) {
        let value = parts.next().ok_or(ProtocolError::Malformed("startup"))?;
        if name.starts_with("_pq_.") {
            unknown_options.push(name.to_owned());
        } else {
            parameters.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(Greeting::Startup { minor, parameters, unknown_options })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_parameters() {
        let got = startup(3 << 16, Bytes::from_static(b"user\0me\0database\0\0_pq_.x\x001\0\0"));
        let parameters = [("user", "me"), ("database", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(
            got,
            Ok(Greeting::Startup {
                minor: 0,
                parameters: parameters.into(),
                unknown_options: vec!["_pq_.x".to_owned()]
            })
        );
        assert_eq!(startup(2 << 16, Bytes::new()), Err(ProtocolError::Version(2, 0)));
    }
}
