//! How the listener works.

use std::time::Duration;

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
    /// How long the first rebalance of a group waits for more members.
    pub group_initial_delay: Duration,
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
            group_initial_delay: Duration::from_millis(300),
        }
    }
}
