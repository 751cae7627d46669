//! Statements that change the catalog, where several processes share it: the leader writes them down, and every process
//! does what they say when it reads them there.
//!
//! What a dropped query leaves is removed by the leader, after it has shut out the writers of all its tasks: a process
//! that has not read the statement yet cannot write any more, and reads it before it tries again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::try_join_all;
use recordlog::{LogError, Offset};
use runtime::log_error;
use syntax::ast;
use tokio::time::Instant;
use types::{Error, Result, Span};

use super::{
    AskError,
    wire::{ChangeAnswer, Request},
};
use crate::{
    Engine, Session,
    api::Outcome,
    apply::{After, Applied, Work},
    running::RunningQuery,
    statements,
    surroundings::Recorder,
};

/// How long a statement waits for somebody to lead the service.
pub(super) const LEADER_WAIT: Duration = Duration::from_secs(20);

/// Between two looks.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// How long a process may take to read a statement that is written down.
const FOLLOW_WAIT: Duration = Duration::from_secs(20);

/// Writers that are shut out at a time.
const TAKE_OVERS_MAX: usize = 8;

/// Carry out a statement, here or where the leader is.
pub(crate) async fn change(session: &mut Session, statement: &ast::Statement) -> Result<Outcome> {
    let engine = session.engine.clone();
    let deadline = Instant::now() + LEADER_WAIT;
    loop {
        if engine.service.leads() {
            return lead(session, statement).await.map(|(outcome, _)| outcome);
        }
        let why = match hand_over(session, statement).await? {
            Handed::Done(outcome) => return Ok(outcome),
            Handed::Not(why) => why,
        };
        if Instant::now() > deadline {
            return Err(Error::unavailable(why).with_hint("try again"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What came of handing a statement to the leader.
enum Handed {
    Done(Outcome),
    /// Nothing was done: why.
    Not(String),
}

async fn hand_over(session: &Session, statement: &ast::Statement) -> Result<Handed> {
    let engine = &session.engine;
    let member = engine.this_member()?;
    let service = engine.names.service_writer().unwrap_or_default();
    let nobody = || format!("no process leads service {service} just now");
    let leader = engine.leader().await?;
    let Some(address) = leader.filter(|address| *address != member.address) else { return Ok(Handed::Not(nobody())) };
    let request = Request::Change { text: statement.text.clone(), properties: session.own_properties() };
    let answer = match member.peers.ask(&address, &request.text()?).await {
        Ok(answer) => ChangeAnswer::read(&answer)?,
        Err(AskError::Unreached(why)) => {
            return Ok(Handed::Not(format!("{}: the process at {address} does not answer ({why})", nobody())));
        }
        Err(AskError::Broken(why)) => {
            let text = format!(
                "whether the statement was carried out is not known: the process at {address}, which leads service \
                 {service}, did not answer ({why})"
            );
            return Err(Error::unavailable(text).with_hint("look before you try again"));
        }
    };
    match answer {
        ChangeAnswer::Done { tag, notices, next } => {
            wait_until_read(engine, next).await?;
            Ok(Handed::Done(Outcome::Done { tag, notices }))
        }
        ChangeAnswer::NotLeading => Ok(Handed::Not(nobody())),
        ChangeAnswer::Failed(error) => Err(placed(error.error(), statement)),
    }
}

/// An error with a place in the statement's own text, as one with a place in the text that the statement stands in.
fn placed(error: Error, statement: &ast::Statement) -> Error {
    let Some(span) = error.span() else { return error };
    let start = statement.span.start;
    // Where variables were put in, places are others.
    let same = (statement.span.end - start) as usize == statement.text.len();
    let place = match same {
        true => Span { start: span.start + start, end: span.end + start },
        false => statement.span,
    };
    error.moved(place)
}

/// Wait until this process has done what the statements say before an offset.
async fn wait_until_read(engine: &Arc<Engine>, next: Offset) -> Result<()> {
    let deadline = Instant::now() + FOLLOW_WAIT;
    loop {
        engine.catch_up().await?;
        if engine.this_member()?.ledger.lock().await.next >= next {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::unavailable("the statement was carried out, but cannot be seen here yet"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Carry out a statement as the leader; the offset in the statement log behind it.
async fn lead(session: &mut Session, statement: &ast::Statement) -> Result<(Outcome, Offset)> {
    let engine = session.engine.clone();
    let member = engine.this_member()?.clone();
    let _one_at_a_time = engine.changing.lock().await;
    engine.catch_up().await?;
    let before: Vec<Arc<RunningQuery>> = engine.queries.lock().values().cloned().collect();
    let catalog = engine.catalog();
    let (count, next) = {
        let ledger = member.ledger.lock().await;
        (ledger.count, ledger.next)
    };
    let (recorder, mut work) = (Recorder::default(), Work::default());
    (session.draft, session.number) = (Some(catalog.clone()), count + 1);
    let outcome = session.apply(statement, Applied::Ahead, &recorder, &mut work).await;
    let outcome = outcome.and_then(|outcome| Ok((outcome, session.logged(statement, &recorder, &work)?)));
    let changed = session.draft.take().is_some_and(|draft| !Arc::ptr_eq(&draft, &catalog));
    let (outcome, logged) = match outcome {
        Ok(done) => done,
        Err(error) => {
            for id in &work.opened {
                engine.forget_later(id).await;
            }
            return Err(error);
        }
    };
    if !changed {
        return Ok((outcome, next));
    }
    let mut appends = vec![statements::entry(&engine.names.statements(), &logged, engine.host.clock.now_ms())?];
    appends.append(&mut work.appends);
    // If it cannot be told whether it is written, nothing is taken back: whoever leads next finds what is left over.
    let written = engine.service.commit(appends).await?;
    let next = written.first().map_or(next, |place| place.base_offset + 1);
    wait_until_read(&engine, next).await?;
    engine.clean_up(&before, work).await?;
    Ok((outcome, next))
}

/// What comes of a statement that another process hands to this one.
pub(super) async fn answer(engine: &Arc<Engine>, text: &str, properties: BTreeMap<String, String>) -> ChangeAnswer {
    if !engine.service.leads() {
        return ChangeAnswer::NotLeading;
    }
    match carried_out(engine, text, properties).await {
        Ok((Outcome::Done { tag, notices }, next)) => ChangeAnswer::Done { tag, notices, next },
        Ok((Outcome::Rows(_), _)) => ChangeAnswer::Failed((&Error::internal("a statement gave rows")).into()),
        Err(error) => ChangeAnswer::Failed((&error).into()),
    }
}

async fn carried_out(
    engine: &Arc<Engine>,
    text: &str,
    properties: BTreeMap<String, String>,
) -> Result<(Outcome, Offset)> {
    let mut session = engine.session();
    session.set_properties(properties);
    match syntax::parse(text, None)?.as_slice() {
        [statement] => lead(&mut session, statement).await,
        _ => Err(Error::internal("one statement was expected")),
    }
}

impl Engine {
    /// Where the process is reached that leads the service, as the log has it.
    pub(super) async fn leader(&self) -> Result<Option<String>> {
        let service = self.names.service_writer().unwrap_or_default();
        Ok(crate::service::owner_of(&self.log, &service).await?.and_then(|owner| owner.advertise))
    }

    /// Remove what a statement has ended.
    async fn clean_up(&self, before: &[Arc<RunningQuery>], work: Work) -> Result<()> {
        let now: Vec<String> = self.queries.lock().values().map(|q| q.opener.options.id.clone()).collect();
        for query in before.iter().filter(|query| !now.contains(&query.opener.options.id)) {
            if let Err(error) = self.shut_out(query).await {
                tracing::warn!(query = query.id, %error, "its tasks could not be shut out");
            }
            self.forget_later(&query.opener.options.id).await;
        }
        for after in work.after {
            if let After::DeleteTopic(topic) = after {
                crate::schemas::forget(&self.registry(), &topic)?;
                match self.log.delete_topic(&topic).await {
                    Ok(()) | Err(LogError::UnknownTopic(_)) => {}
                    Err(e) => return Err(log_error(e)),
                }
            }
        }
        Ok(())
    }

    /// See to it that no process commits anything more of a query.
    async fn shut_out(&self, query: &RunningQuery) -> Result<()> {
        let shares = query.shares();
        let writers: Vec<Arc<str>> = shares.iter().map(|share| query.opener.of_share(*share).writer()).collect();
        for writers in writers.chunks(TAKE_OVERS_MAX) {
            let taken = try_join_all(writers.iter().map(|writer| self.log.take_over(writer))).await;
            writers.iter().for_each(|writer| self.log.release(writer));
            taken.map_err(log_error)?;
        }
        Ok(())
    }
}
