//! AlterUserScramCredentials: users' keys are set and removed. A client sends the salted password, not the password.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::{
    error::ResponseError,
    messages::{
        AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
        alter_user_scram_credentials_request::ScramCredentialUpsertion,
        alter_user_scram_credentials_response::AlterUserScramCredentialsResult,
    },
};

use super::{Api, Reply};
use crate::{
    auth::{Hash, Keys, Operation, Resource, users::KEYS_MAX},
    call::{Call, text},
    error::Failure,
    store::{Key, to_json},
    wire::shape::{
        Field,
        Kind::{Array, Blob, Fixed, Text},
        all,
    },
};

/// Longest name of a user, bytes.
const NAME_BYTES_MAX: usize = 256;

/// See the module.
pub(crate) struct AlterUserScramCredentials;

/// What is to become of a user's keys; `None`: they go.
type Changes = BTreeMap<Hash, Option<Keys>>;

impl Api for AlterUserScramCredentials {
    type Request = AlterUserScramCredentialsRequest;
    type Response = AlterUserScramCredentialsResponse;
    const KEY: i16 = 51;
    const VERSIONS: (i16, i16) = (0, 0);
    const FIELDS: &'static [Field] = &[
        all(Array(&[all(Text), all(Fixed(1))])),
        all(Array(&[all(Text), all(Fixed(1)), all(Fixed(4)), all(Blob), all(Blob)])),
    ];

    async fn handle(
        call: &Call,
        request: AlterUserScramCredentialsRequest,
    ) -> Reply<AlterUserScramCredentialsResponse> {
        let result = |(name, altered): (String, Result<(), Failure>)| {
            let failure = altered.err();
            AlterUserScramCredentialsResult::default()
                .with_user(text(&name))
                .with_error_code(failure.as_ref().map_or(0, Failure::code))
                .with_error_message(failure.map(|failure| text(&failure.message)))
        };
        let results = alter(call, &request).await.into_iter().map(result).collect();
        Reply::from(AlterUserScramCredentialsResponse::default().with_results(results))
    }
}

/// Change what can be changed, all in one commit; what became of each user. One gets all that is wanted or nothing.
async fn alter(call: &Call, request: &AlterUserScramCredentialsRequest) -> BTreeMap<String, Result<(), Failure>> {
    let deleted = request.deletions.iter().map(|deletion| deletion.name.to_string());
    let set = request.upsertions.iter().map(|upsertion| upsertion.name.to_string());
    let names: BTreeSet<String> = deleted.chain(set).collect();
    if let Err(failure) = call.authorize(Operation::Alter, Resource::Cluster) {
        return names.into_iter().map(|name| (name, Err(failure.clone()))).collect();
    }
    let auth = &call.broker.auth;
    let _one = auth.changing().await;
    let wanted = wanted(call, request);
    let recorded = record(call, &wanted).await;
    let settle = |(name, changes): (String, Result<Changes, Failure>)| {
        let outcome = changes.and_then(|changes| {
            recorded.clone()?;
            tracing::info!(principal = %call.connection.principal(), user = name, "a user's keys were changed");
            changes.into_iter().for_each(|(hash, keys)| auth.users.set(&name, hash, keys));
            Ok(())
        });
        (name, outcome)
    };
    wanted.into_iter().map(settle).collect()
}

/// What each user is to get, or why not.
fn wanted(call: &Call, request: &AlterUserScramCredentialsRequest) -> BTreeMap<String, Result<Changes, Failure>> {
    let mut wanted: BTreeMap<String, Result<Changes, Failure>> = BTreeMap::new();
    let mut take = |name: &str, change: Result<(Hash, Option<Keys>), Failure>| {
        let of_user = wanted.entry(name.to_owned()).or_insert_with(|| check_name(call, name));
        let Ok(changes) = of_user else { return };
        match change {
            Ok((hash, keys)) => {
                if changes.insert(hash, keys).is_some() {
                    let message = format!("user {name} is to be changed twice");
                    *of_user = Err(Failure::new(ResponseError::DuplicateResource, message));
                }
            }
            Err(failure) => *of_user = Err(failure),
        }
    };
    for deletion in &request.deletions {
        let change = mechanism(deletion.mechanism).and_then(|hash| {
            if call.broker.auth.users.is_kept(&deletion.name, hash) {
                return Ok((hash, None));
            }
            let message = format!("user {} has no such credentials", deletion.name.as_str());
            Err(Failure::new(ResponseError::ResourceNotFound, message))
        });
        take(&deletion.name, change);
    }
    for upsertion in &request.upsertions {
        take(&upsertion.name, keys(upsertion));
    }
    wanted
}

fn keys(wanted: &ScramCredentialUpsertion) -> Result<(Hash, Option<Keys>), Failure> {
    let hash = mechanism(wanted.mechanism)?;
    let keys = Keys::from_client(hash, &wanted.salted_password, &wanted.salt, wanted.iterations)
        .map_err(|what| Failure::new(ResponseError::UnacceptableCredential, what))?;
    Ok((hash, Some(keys)))
}

fn mechanism(code: i8) -> Result<Hash, Failure> {
    Hash::of_code(code).ok_or_else(|| {
        Failure::new(ResponseError::UnsupportedSaslMechanism, format!("there is no SCRAM mechanism {code}"))
    })
}

/// No changes yet, or why there can be none.
fn check_name(call: &Call, name: &str) -> Result<Changes, Failure> {
    let refused = |message: String| Err(Failure::new(ResponseError::UnacceptableCredential, message));
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return refused(format!("a user's name has 1 to {NAME_BYTES_MAX} bytes"));
    }
    if call.broker.auth.users.is_fixed(name) {
        return refused(format!("user {name} is in the server's configuration file, and is changed there"));
    }
    Ok(Changes::new())
}

async fn record(call: &Call, wanted: &BTreeMap<String, Result<Changes, Failure>>) -> Result<(), Failure> {
    let users = &call.broker.auth.users;
    let mut records = Vec::new();
    let mut new = 0;
    for (name, changes) in wanted {
        for (hash, keys) in changes.iter().flatten() {
            let value = keys.as_ref().map(to_json).transpose()?;
            new += usize::from(value.is_some() && !users.is_kept(name, *hash));
            records.push((Key::Credential { user: name.clone(), hash: *hash }, value));
        }
    }
    if new > 0 && users.kept_count() + new > KEYS_MAX {
        return Err(Failure::new(ResponseError::PolicyViolation, format!("there are at most {KEYS_MAX} credentials")));
    }
    call.broker.store.record(&records).await
}
