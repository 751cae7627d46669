//! What an operator can set.

/// How the server listens.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Connections at once; one more is refused with SQLSTATE 53300.
    pub connections_max: usize,
    /// Listen on addresses that other machines reach. There is no authentication: whoever connects may do everything.
    pub allow_remote: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { connections_max: 1000, allow_remote: false }
    }
}
