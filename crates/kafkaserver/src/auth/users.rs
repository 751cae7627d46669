//! Users, as salted keys. Passwords are not kept.

use std::{collections::BTreeMap, fmt};

use parking_lot::RwLock;

use super::scram::{Hash, Keys};
use crate::store::{Kept, Key};

/// Most keys that are set over the wire.
pub(crate) const KEYS_MAX: usize = 20_000;

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

/// Keys by name.
type ByName = BTreeMap<String, BTreeMap<Hash, Keys>>;

/// All users.
#[derive(Debug)]
pub(crate) struct Users {
    /// Of the settings, with keys of both hashes.
    fixed: ByName,
    /// Set over the wire. A name that the settings have, too, is theirs.
    kept: RwLock<ByName>,
    /// What the keys of nobody are made of: an exchange with somebody who does not exist looks like any other.
    secret: [u8; 16],
}

impl Users {
    pub fn new(users: &[User], kept: &Kept, random: &dyn host::Random) -> Users {
        let keys = |password: &str| {
            let keys = |hash| (hash, Keys::of(hash, password, &random.next_u128().to_be_bytes()));
            Hash::ALL.iter().copied().map(keys).collect()
        };
        let fixed = users.iter().map(|user| (user.name.clone(), keys(&user.password))).collect();
        let users = Users { fixed, kept: RwLock::default(), secret: random.next_u128().to_be_bytes() };
        for (key, value) in kept {
            let Key::Credential { user, hash } = key else { continue };
            match serde_json::from_value(value.clone()) {
                Ok(keys) => users.set(user, *hash, Some(keys)),
                Err(error) => tracing::error!(user, %error, "a user's keys cannot be read; he has to get others"),
            }
        }
        users
    }

    /// Whether clients have to say who they are: the settings have users.
    pub fn are_required(&self) -> bool {
        !self.fixed.is_empty()
    }

    /// Whether a user is the settings' own.
    pub fn is_fixed(&self, name: &str) -> bool {
        self.fixed.contains_key(name)
    }

    /// A user's keys, or keys that no password fits.
    pub(super) fn keys(&self, name: &str, hash: Hash) -> Keys {
        self.find(name, |keys| keys.get(&hash).cloned()).unwrap_or_else(|| Keys::of_nobody(hash, name, &self.secret))
    }

    /// Whether that is the user's password.
    pub(super) fn has_password(&self, name: &str, password: &str) -> bool {
        let found = self.find(name, |keys| keys.values().next().cloned());
        let is_there = found.is_some();
        // It takes as long for a user that is not there.
        let keys = found.unwrap_or_else(|| Keys::of_nobody(Hash::Sha256, name, &self.secret));
        keys.fit(password) && is_there
    }

    fn find(&self, name: &str, pick: impl Fn(&BTreeMap<Hash, Keys>) -> Option<Keys>) -> Option<Keys> {
        match self.fixed.get(name) {
            Some(keys) => pick(keys),
            None => self.kept.read().get(name).and_then(pick),
        }
    }

    /// The hashes that a user has keys of, and how often each hashes; none: he does not exist.
    pub fn described(&self, name: &str) -> Vec<(Hash, u32)> {
        let each = |keys: &BTreeMap<Hash, Keys>| keys.iter().map(|(hash, keys)| (*hash, keys.iterations())).collect();
        match self.fixed.get(name) {
            Some(keys) => each(keys),
            None => self.kept.read().get(name).map(each).unwrap_or_default(),
        }
    }

    /// All names.
    pub fn names(&self) -> Vec<String> {
        let kept = self.kept.read();
        let mut names: Vec<String> = self.fixed.keys().chain(kept.keys()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// How many keys were set over the wire.
    pub fn kept_count(&self) -> usize {
        self.kept.read().values().map(BTreeMap::len).sum()
    }

    /// Whether keys of that hash were set over the wire.
    pub fn is_kept(&self, name: &str, hash: Hash) -> bool {
        self.kept.read().get(name).is_some_and(|keys| keys.contains_key(&hash))
    }

    /// Set keys, or with `None` remove them; that they are durable is the caller's part.
    pub fn set(&self, name: &str, hash: Hash, keys: Option<Keys>) {
        let mut kept = self.kept.write();
        match keys {
            Some(keys) => {
                kept.entry(name.to_owned()).or_default().insert(hash, keys);
            }
            None => {
                let Some(of_user) = kept.get_mut(name) else { return };
                of_user.remove(&hash);
                if of_user.is_empty() {
                    kept.remove(name);
                }
            }
        }
    }
}
