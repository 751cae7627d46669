//! Signals, heard from a stated moment on: what comes before somebody waits for it is not lost.

use crate::CommandResult;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC, ctrl_c};

/// Ctrl-C, since this exists.
pub struct Interrupts {
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(windows)]
    interrupt: CtrlC,
}

impl Interrupts {
    /// Listen; from now on an interrupt does not end the process.
    pub fn listen() -> CommandResult<Interrupts> {
        #[cfg(unix)]
        let interrupt = signal(SignalKind::interrupt());
        #[cfg(windows)]
        let interrupt = ctrl_c();
        Ok(Interrupts { interrupt: interrupt.map_err(|e| format!("an interrupt cannot be waited for: {e}"))? })
    }

    /// Resolves at the first that came since `listen` or the last call.
    pub async fn next(&mut self) {
        self.interrupt.recv().await;
    }
}

/// What asks the process to stop, since this exists: an interrupt or, where there is one, SIGTERM.
pub struct StopSignals {
    interrupts: Interrupts,
    #[cfg(unix)]
    terminate: Signal,
}

impl StopSignals {
    /// Listen; to be called before clients can find the process.
    pub fn listen() -> CommandResult<StopSignals> {
        Ok(StopSignals {
            interrupts: Interrupts::listen()?,
            #[cfg(unix)]
            terminate: signal(SignalKind::terminate()).map_err(|e| format!("SIGTERM cannot be waited for: {e}"))?,
        })
    }

    /// Resolves at the first of them that came since `listen`.
    pub async fn stop(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            () = self.interrupts.next() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(windows)]
        self.interrupts.next().await;
    }
}
