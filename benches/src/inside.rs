//! An engine in this process, on a log on disk with its defaults: what is measured is the engine, and no wire.

use std::sync::Arc;

use engine::{Engine, EngineConfig};
use tempfile::TempDir;

use crate::{Outcome, Settings};

/// The engine, and the directory that ends with it.
pub(crate) struct Inside {
    pub engine: Arc<Engine>,
    _dir: TempDir,
}

impl Inside {
    /// On an empty directory; queries read from the beginning.
    pub async fn open(settings: &Settings) -> Outcome<Inside> {
        let dir = tempfile::tempdir_in(&settings.dir)?;
        let properties = [("auto.offset.reset".to_string(), "earliest".to_string())].into();
        let config = EngineConfig { data_dir: Some(dir.path().to_path_buf()), properties, ..EngineConfig::default() };
        Ok(Inside { engine: Engine::open(config).await?, _dir: dir })
    }

    /// Run statements that give no rows.
    pub async fn run(&self, text: &str) -> Outcome<()> {
        let mut session = self.engine.session();
        for statement in session.parse(text)? {
            let prepared = session.prepare(&statement).await?;
            session.execute(&prepared, &[]).await?;
        }
        Ok(())
    }

    /// Stop it.
    pub async fn close(self) {
        self.engine.shutdown().await;
    }
}
