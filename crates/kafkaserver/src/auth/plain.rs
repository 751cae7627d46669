//! PLAIN (RFC 4616): name and password as they are. Only as secret as the connection.

use bytes::Bytes;

use super::{sasl::Progress, users::Users};

/// Check `[authorization id] NUL name NUL password`.
pub(super) fn check(users: &Users, token: &[u8]) -> Progress {
    let mut parts = token.split(|byte| *byte == 0).map(std::str::from_utf8);
    let (Some(Ok(acts_as)), Some(Ok(name)), Some(Ok(password)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Progress::Failed;
    };
    // Nobody acts as somebody else.
    if (acts_as.is_empty() || acts_as == name) && users.has_password(name, password) {
        Progress::Done { user: name.to_owned(), reply: Bytes::new() }
    } else {
        Progress::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::User, store::Kept};

    #[test]
    fn names_and_passwords() {
        let user = User { name: "ann".into(), password: "s:e cret".into() };
        let users = Users::new(&[user], &Kept::new(), &host::SeededRandom::new(1));
        let all = |token: &str, expect: bool| {
            assert_eq!(matches!(check(&users, token.as_bytes()), Progress::Done { .. }), expect, "{token:?}");
        };
        all("\0ann\0s:e cret", true);
        all("ann\0ann\0s:e cret", true);
        all("bob\0ann\0s:e cret", false);
        all("\0ann\0secret", false);
        all("\0ann\0", false);
        all("\0bob\0s:e cret", false);
        all("\0ann\0s:e cret\0", false);
        all("", false);
        assert_eq!(check(&users, &[0, 0xff, 0, 0xff]), Progress::Failed);
    }
}
