//! Cancel requests: they come on a connection of their own and name a session by its process id and secret.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What a session's running statement listens to.
#[derive(Default)]
pub(crate) struct Cancel {
    running: AtomicBool,
    requested: AtomicBool,
    notify: Notify,
}

impl Cancel {
    /// A statement begins: a request from before was not for it.
    pub(crate) fn begin(&self) {
        self.requested.store(false, Ordering::SeqCst);
        self.running.store(true, Ordering::SeqCst);
    }

    /// The statement is over.
    pub(crate) fn end(&self) {
        self.running.store(false, Ordering::SeqCst);
    }

    /// Returns when the running statement is to end.
    pub(crate) async fn requested(&self) {
        loop {
            let notified = self.notify.notified();
            if self.requested.load(Ordering::SeqCst) {
                return;
            }
            notified.await;
        }
    }

    fn request(&self) {
        if self.running.load(Ordering::SeqCst) {
            self.requested.store(true, Ordering::SeqCst);
            self.notify.notify_waiters();
        }
    }
}

/// All sessions, by process id.
#[derive(Default)]
pub(crate) struct Sessions {
    next: AtomicU32,
    by_process: Mutex<HashMap<u32, ([u8; 4], Arc<Cancel>)>>,
}

/// A session's place among [`Sessions`]; given up when dropped.
pub(crate) struct Registration {
    sessions: Arc<Sessions>,
    /// What stands for a process id.
    pub(crate) process: u32,
    /// What a cancel request must know.
    pub(crate) secret: [u8; 4],
    /// What the session's statements listen to.
    pub(crate) cancel: Arc<Cancel>,
}

impl Sessions {
    /// A new session.
    pub(crate) fn register(self: &Arc<Self>) -> Registration {
        let secret: [u8; 4] = rand::random();
        let cancel = Arc::new(Cancel::default());
        let mut by_process = self.by_process.lock();
        let process = loop {
            // Process ids are positive, and a number in use is skipped after the counter has gone round.
            let process = self.next.fetch_add(1, Ordering::Relaxed) % i32::MAX.unsigned_abs() + 1;
            if !by_process.contains_key(&process) {
                break process;
            }
        };
        by_process.insert(process, (secret, Arc::clone(&cancel)));
        Registration { sessions: Arc::clone(self), process, secret, cancel }
    }

    /// Cancel what that session runs, if the secret is right.
    pub(crate) fn cancel(&self, process: u32, secret: &[u8]) {
        if let Some((known, cancel)) = self.by_process.lock().get(&process)
            && known == secret
        {
            cancel.request();
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.sessions.by_process.lock().remove(&self.process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn only_the_running_statement_hears_a_request() {
        let sessions = Arc::new(Sessions::default());
        let session = sessions.register();
        let cancelled = || session.cancel.requested().now_or_never().is_some();
        sessions.cancel(session.process, &session.secret);
        session.cancel.begin();
        assert!(!cancelled());
        sessions.cancel(session.process, b"----x");
        assert!(!cancelled());
        sessions.cancel(session.process, &session.secret);
        assert!(cancelled());
        session.cancel.end();
        session.cancel.begin();
        assert!(!cancelled());
        let (process, secret) = (session.process, session.secret);
        drop(session);
        sessions.cancel(process, &secret);
        assert!(sessions.by_process.lock().is_empty());
    }
}
