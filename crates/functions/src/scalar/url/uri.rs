//! URIs as `java.net.URI` takes them apart (RFC 2396), which is what the URL functions of ksqlDB do.

/// The parts of a URI, still encoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Uri<'a> {
    pub(super) scheme: Option<&'a str>,
    pub(super) host: Option<&'a str>,
    pub(super) port: Option<i32>,
    /// `None` for an opaque URI (`mailto:a@b`).
    pub(super) path: Option<&'a str>,
    pub(super) query: Option<&'a str>,
    pub(super) fragment: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// Take `text` apart; `None` if it is no URI.
    pub(super) fn parse(text: &'a str) -> Option<Uri<'a>> {
        let (rest, fragment) = match text.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (text, None),
        };
        if !is_legal(rest) || !fragment.is_none_or(is_legal) {
            return None;
        }
        let (scheme, rest) = match rest.find([':', '/', '?']) {
            Some(at) if rest.get(at..=at) == Some(":") => {
                let (scheme, specific) = (rest.get(..at)?, rest.get(at + 1..)?);
                if !is_scheme(scheme) || specific.is_empty() {
                    return None;
                }
                (Some(scheme), specific)
            }
            _ => (None, rest),
        };
        let mut uri = Uri { scheme, host: None, port: None, path: None, query: None, fragment };
        if scheme.is_some() && !rest.starts_with('/') {
            return Some(uri);
        }
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        uri.query = query;
        uri.path = Some(rest);
        if let Some(after) = rest.strip_prefix("//") {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            if authority.is_empty() && path.is_empty() {
                return None;
            }
            uri.path = Some(path);
            (uri.host, uri.port) = server(authority).unwrap_or((None, None));
        }
        Some(uri)
    }
}

/// Host and port of `user@host:port`; `None` if it is no server's name (then it is a registry's, which has neither).
fn server(authority: &str) -> Option<(Option<&str>, Option<i32>)> {
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let bracket = address.rfind(']').unwrap_or(0);
    let (host, port) = match address.get(bracket..)?.rfind(':') {
        Some(colon) => (address.get(..bracket + colon)?, address.get(bracket + colon + 1..)?),
        None => (address, ""),
    };
    let port =
        if port.is_empty() { None } else { Some(crate::javanum::parse_integer::<i32>(port).filter(|p| *p >= 0)?) };
    is_host(host).then_some((Some(host), port))
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    if host.parse::<std::net::Ipv4Addr>().is_ok() {
        return true;
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or("");
    name.split('.').all(label) && last.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Characters that may stand in a URI; `%` before two hexadecimal digits.
fn is_legal(text: &str) -> bool {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let legal = match c {
            '%' => {
                rest.next().is_some_and(|c| c.is_ascii_hexdigit()) && rest.next().is_some_and(|c| c.is_ascii_hexdigit())
            }
            c if c.is_ascii() => c.is_ascii_alphanumeric() || "-_.!~*'();/?:@&=+$,[]".contains(c),
            c => !c.is_control() && !c.is_whitespace(),
        };
        if !legal {
            return false;
        }
    }
    true
}

/// The text with `%XX` decoded as UTF-8; `None` if a `%` has no two digits after it.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'%' { digit(bytes.next()?)? << 4 | digit(bytes.next()?)? } else { byte });
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let check = |text: &str, host: Option<&str>, port: Option<i32>, path: Option<&str>, query: Option<&str>| {
            let uri = Uri::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((uri.host, uri.port, uri.path, uri.query), (host, port, path, query), "{text}");
        };
        check("http://test@confluent.io:8080/a?b=c#d", Some("confluent.io"), Some(8080), Some("/a"), Some("b=c"));
        check("http://www.test.com?q", Some("www.test.com"), None, Some(""), Some("q"));
        check("www.confluent.io", None, None, Some("www.confluent.io"), None);
        check("mailto:a@b.c", None, None, None, None);
        check("http://[::1]:80/", Some("[::1]"), Some(80), Some("/"), None);
        check("http://under_score/x", None, None, Some("/x"), None);
        check("http://h:/x", Some("h"), None, Some("/x"), None);
        check("", None, None, Some(""), None);
        for bad in ["http://", "http:", "a b", "http://x/%zz", "http://x/{}", "1a:b", ":x", "#a#b", "%"] {
            assert_eq!(Uri::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn decoding() {
        assert_eq!(percent_decode("a%20%C3%A4+").as_deref(), Some("a ä+"));
        assert_eq!(percent_decode("%f"), None);
    }
}
