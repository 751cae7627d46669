//! How the listener works.

use std::time::Duration;

use crate::auth::{Rule, TlsFiles, User};

/// Shortest session of a member of the consumer protocol.
const GROUP_SESSION_MIN: Duration = Duration::from_secs(1);
/// Shortest time between its heartbeats, below a third of [`GROUP_SESSION_MIN`].
const GROUP_HEARTBEAT_MIN: Duration = Duration::from_millis(100);

/// What a listener can be told. The defaults suit a server on one machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Listen on addresses that other machines reach.
    pub allow_remote: bool,
    /// Host and port that clients are told to connect to; `None`: where they connected to.
    pub advertised: Option<(String, u16)>,
    /// Most connections; more are closed at once.
    pub connections_max: usize,
    /// Whether asking for a topic that does not exist makes it.
    pub auto_create_topics: bool,
    /// Partitions of a topic whose creator does not say.
    pub partitions_default: u32,
    /// Most bytes of requests in work, over all connections.
    pub request_bytes_max: usize,
    /// Most bytes of answers in work, over all connections.
    pub answer_bytes_max: usize,
    /// TLS on the listener; `None`: plain text.
    pub tls: Option<TlsFiles>,
    /// Who may connect, by name and password; with none, nobody has to say who he is.
    pub users: Vec<User>,
    /// Who may do what; with none, everybody may do everything.
    pub rules: Vec<Rule>,
    /// Principals whom the rules do not bind.
    pub super_users: Vec<String>,
    /// How long the first rebalance of a group waits for more members.
    pub group_initial_delay: Duration,
    /// How long a member of the consumer protocol may be silent before it is taken out of its group; a second at least.
    pub group_session: Duration,
    /// How often members of the consumer protocol are told to heartbeat; a third of the session at most, a tenth of a
    /// second at least.
    pub group_heartbeat: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            allow_remote: false,
            advertised: None,
            connections_max: 2_000,
            auto_create_topics: false,
            partitions_default: 1,
            request_bytes_max: 256 << 20,
            answer_bytes_max: 256 << 20,
            tls: None,
            users: Vec::new(),
            rules: Vec::new(),
            super_users: Vec::new(),
            group_initial_delay: Duration::from_millis(300),
            group_session: Duration::from_secs(45),
            group_heartbeat: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// The session of members of the consumer protocol.
    pub(crate) fn group_session(&self) -> Duration {
        self.group_session.max(GROUP_SESSION_MIN)
    }

    /// What they are told: two heartbeats may be lost before a session ends.
    pub(crate) fn group_heartbeat_interval(&self) -> Duration {
        self.group_heartbeat.clamp(GROUP_HEARTBEAT_MIN, self.group_session() / 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_outlasts_two_heartbeats() {
        let check = |session_ms: u64, heartbeat_ms: u64, expect_ms: u64| {
            let settings = Settings {
                group_session: Duration::from_millis(session_ms),
                group_heartbeat: Duration::from_millis(heartbeat_ms),
                ..Settings::default()
            };
            assert_eq!(settings.group_heartbeat_interval().as_millis(), u128::from(expect_ms));
        };
        check(45_000, 5_000, 5_000);
        check(6_000, 5_000, 2_000);
        check(6_000, 0, 100);
        check(0, 5_000, 333);
    }
}
