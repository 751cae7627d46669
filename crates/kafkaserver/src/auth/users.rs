//! Users, as salted keys. Passwords are not kept.

use std::{collections::BTreeMap, fmt};

use super::scram::{Hash, Keys};

/// A user of the settings.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name; the principal is `User:NAME`.
    pub name: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All users.
#[derive(Debug)]
pub(super) struct Users {
    by_name: BTreeMap<String, (Keys, Keys)>,
    /// Keys of nobody: an exchange with somebody who does not exist looks like any other.
    nobody: (Keys, Keys),
}

impl Users {
    pub fn new(users: &[User], random: &dyn host::Random) -> Users {
        let keys = |password: &str| {
            let keys = |hash| Keys::of(hash, password, &random.next_u128().to_be_bytes());
            (keys(Hash::Sha256), keys(Hash::Sha512))
        };
        // Without users there are no exchanges.
        let nobodys = if users.is_empty() { String::new() } else { format!("{:x}", random.next_u128()) };
        let by_name = users.iter().map(|user| (user.name.clone(), keys(&user.password))).collect();
        Users { by_name, nobody: keys(&nobodys) }
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// A user's keys, or keys that no password fits.
    pub fn keys(&self, name: &str, hash: Hash) -> &Keys {
        let (sha256, sha512) = self.by_name.get(name).unwrap_or(&self.nobody);
        match hash {
            Hash::Sha256 => sha256,
            Hash::Sha512 => sha512,
        }
    }

    /// Whether that is the user's password.
    pub fn has_password(&self, name: &str, password: &str) -> bool {
        // It takes as long for a user that is not there.
        self.keys(name, Hash::Sha256).fit(password) && self.by_name.contains_key(name)
    }
}
