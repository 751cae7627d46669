//! Where the registry is and who we are there.

use std::{fmt, path::PathBuf};

/// Registries of one cluster that are tried one after another, at most.
const URLS_MAX: usize = 16;

/// Where the registry is and who we are there.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `http://host:8081` or `https://…`; several of one cluster with commas between.
    pub url: String,
    /// A user, for basic authentication.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// A file of certificates (PEM) that are trusted instead of the well-known ones.
    pub ca: Option<PathBuf>,
}

/// Without the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("url", &self.url).field("user", &self.user).field("ca", &self.ca).finish()
    }
}

/// Settings that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not an address.
    #[error("the URL of the schema registry {url:?}: {why}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A user without a password, or the other way round.
    #[error("the schema registry's user and password are given together")]
    User,
    /// The file of certificates cannot be used.
    #[error("certificates of the schema registry in {}: {why}", .path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Settings {
    /// The addresses, without a slash at the end.
    ///
    /// # Errors
    /// One of them is none.
    pub(crate) fn urls(&self) -> Result<Vec<String>, SettingsError> {
        let fail = |url: &str, why| SettingsError::Url { url: url.to_owned(), why };
        let check = |url: &str| {
            let url = url.trim().trim_end_matches('/');
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            let rest = rest.ok_or_else(|| fail(url, "it begins with http:// or https://"))?;
            if rest.contains('@') {
                return Err(fail("…", "user and password have settings of their own"));
            }
            if rest.is_empty() || rest.starts_with(['/', ':']) || rest.contains(['?', '#', ' ']) {
                return Err(fail(url, "expected http://host:port"));
            }
            Ok(url.to_owned())
        };
        let urls: Vec<String> = self.url.split(',').map(check).collect::<Result<_, _>>()?;
        if urls.len() > URLS_MAX { Err(fail(&self.url, "more than 16 addresses")) } else { Ok(urls) }
    }

    /// The header of basic authentication.
    ///
    /// # Errors
    /// One half of it is missing.
    pub(crate) fn authorization(&self) -> Result<Option<String>, SettingsError> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        match (&self.user, &self.password) {
            (Some(user), Some(password)) => {
                Ok(Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))))
            }
            (None, None) => Ok(None),
            _ => Err(SettingsError::User),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expect: Result<&[&str], &str>) {
        let found = Settings { url: url.to_owned(), ..Settings::default() }.urls();
        let found =
            found.as_ref().map(|u| u.iter().map(String::as_str).collect::<Vec<_>>()).map_err(ToString::to_string);
        assert_eq!(found.as_deref().map_err(String::as_str), expect);
    }

    #[test]
    fn addresses() {
        check("http://a:8081", Ok(&["http://a:8081"]));
        check("https://a/registry/, http://[::1]:8081", Ok(&["https://a/registry", "http://[::1]:8081"]));
        check("a:8081", Err(r#"the URL of the schema registry "a:8081": it begins with http:// or https://"#));
        check("http://", Err(r#"the URL of the schema registry "http:": it begins with http:// or https://"#));
        check("http://:80", Err(r#"the URL of the schema registry "http://:80": expected http://host:port"#));
        check("", Err(r#"the URL of the schema registry "": it begins with http:// or https://"#));
        // What may be a password is not shown.
        check(
            "http://u:secret@a",
            Err(r#"the URL of the schema registry "…": user and password have settings of their own"#),
        );
    }

    #[test]
    fn passwords_are_not_shown_and_go_with_users() {
        let both = Settings { user: Some("u".into()), password: Some("secret".into()), ..Settings::default() };
        assert!(!format!("{both:?}").contains("secret"));
        assert_eq!(both.authorization(), Ok(Some("Basic dTpzZWNyZXQ=".into())));
        assert_eq!(Settings { password: None, ..both }.authorization(), Err(SettingsError::User));
    }
}
