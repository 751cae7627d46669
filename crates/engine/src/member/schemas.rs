//! Changes of the schema registry that is built in, where several processes have it: the leader makes them, as the writer
//! of the service, so that one who leads no more makes none.

use std::sync::{Arc, Weak};

use futures::executor::block_on;
use recordlog::Append;
use schemaregistry::{Change, ChangeAnswer, Leader};
use tokio::{runtime::Handle, time::Instant};
use types::{Error, Result};

use super::{
    AskError,
    change::{LEADER_WAIT, PAUSE},
    wire::{Request, accepted, unreadable},
};
use crate::{
    Engine,
    service::{Service, apart},
};

/// The process that leads, as the registry of this one sees it.
pub(crate) struct SchemaLeader {
    pub service: Arc<Service>,
    pub engine: Weak<Engine>,
    pub runtime: Handle,
}

impl Leader for SchemaLeader {
    fn is_here(&self) -> bool {
        self.service.leads()
    }

    fn write(&self, append: Append) -> Result<(), String> {
        block_on(self.service.commit(vec![append])).map(drop).map_err(|e| e.to_string())
    }

    fn change(&self, change: &Change) -> Result<ChangeAnswer, String> {
        let engine = self.engine.upgrade().ok_or("the engine is closed")?;
        let change = change.clone();
        let asked = self.runtime.spawn(async move { hand_over(&engine, &change).await });
        block_on(asked).map_err(|e| e.to_string())?.map_err(|e| e.to_string())
    }
}

/// Have the leader make a change, whoever that is by now.
async fn hand_over(engine: &Arc<Engine>, change: &Change) -> Result<ChangeAnswer> {
    let (member, deadline) = (engine.this_member()?, Instant::now() + LEADER_WAIT);
    let request = Request::Schemas { change: change.clone() }.text()?;
    loop {
        let asked = match engine.leader().await? {
            None => Ok(None),
            // It has begun to lead since it was asked.
            Some(address) if address == member.address => Ok(answer(engine, change.clone()).await?),
            Some(address) => match member.peers.ask(&address, &request).await {
                Ok(answer) => Ok(serde_json::from_slice(accepted(&answer)?).map_err(unreadable)?),
                Err(AskError::Unreached(why)) => Err(format!("the process at {address} does not answer ({why})")),
                Err(AskError::Broken(why)) => {
                    let text = format!(
                        "whether the schema was changed is not known: the process at {address}, which leads the \
                         service, did not answer ({why})"
                    );
                    return Err(Error::unavailable(text).with_hint("look before you try again"));
                }
            },
        };
        let why = match asked {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => "no process leads the service just now".to_owned(),
            Err(why) => why,
        };
        if Instant::now() > deadline {
            return Err(Error::unavailable(why).with_hint("try again"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What comes of a change that another process hands to this one; `None`: it does not lead.
pub(super) async fn answer(engine: &Arc<Engine>, change: Change) -> Result<Option<ChangeAnswer>> {
    if !engine.service.leads() {
        return Ok(None);
    }
    let subjects = engine.subjects();
    apart(move || Ok(Some(subjects.answer(&change)))).await
}
