//! Users, certificates and access rules.

use std::{path::Path, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, SaslAuthenticateRequest, SaslHandshakeRequest};
use kafkaserver::{Names, Operation, ResourceKind, Rule, Settings, TlsFiles, User};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    },
};

use crate::{login::*, support::*};

const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
const ILLEGAL_SASL_STATE: i16 = 34;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

fn users(settings: &mut Settings) {
    let user = |name: &str| User { name: name.into(), password: format!("{name}'s secret") };
    settings.users = vec![user("ann"), user("bob")];
}

#[tokio::test]
async fn a_stranger_gets_nothing() {
    let server = Server::start_with(users).await;
    let mut client = server.client().await;
    // It may ask what there is, and say who it is.
    assert_eq!(client.ask(3, &ApiVersionsRequest::default()).await.error_code, 0);
    client.send(12, &MetadataRequest::default()).await;
    assert_eq!(client.answer().await, None, "anything else ends the connection");
    let mut client = server.client().await;
    // It cannot make the server read a long request, either.
    client.stream.write_all(&(1_u32 << 20).to_be_bytes()).await.unwrap();
    assert_eq!(client.answer().await, None);
}

#[tokio::test]
async fn names_and_passwords() {
    let server = Server::start_with(users).await;
    let mut client = server.client().await;
    let wrong = client.ask(1, &SaslHandshakeRequest::default().with_mechanism(text("GSSAPI"))).await;
    assert_eq!(wrong.error_code, UNSUPPORTED_SASL_MECHANISM);
    assert_eq!(wrong.mechanisms, ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].map(text));
    let early = client.ask(2, &SaslAuthenticateRequest::default()).await;
    assert_eq!(early.error_code, ILLEGAL_SASL_STATE);
    assert_eq!(plain(&mut client, "ann", "ann's secret").await.error_code, 0);
    assert_eq!(client.create("t", 1, &[]).await, 0);
    let again = client.ask(1, &SaslHandshakeRequest::default().with_mechanism(text("PLAIN"))).await;
    assert_eq!(again.error_code, ILLEGAL_SASL_STATE);

    for (name, password) in [("ann", "bob's secret"), ("carl", "carl's secret"), ("ann", "")] {
        let mut client = server.client().await;
        let refused = plain(&mut client, name, password).await;
        assert_eq!(refused.error_code, SASL_AUTHENTICATION_FAILED);
        assert_eq!(refused.error_message.as_deref(), Some("name or password is wrong"), "it does not say which");
        client.send(1, &SaslHandshakeRequest::default().with_mechanism(text("PLAIN"))).await;
        assert_eq!(client.answer().await, None, "there is one attempt a connection");
    }
}

/// Clients of before 2017 send tokens without a header.
#[tokio::test]
async fn raw_tokens() {
    let server = Server::start_with(users).await;
    for (password, is_right) in [("ann's secret", true), ("guess", false)] {
        let mut client = server.client().await;
        let shaken = client.ask(0, &SaslHandshakeRequest::default().with_mechanism(text("PLAIN"))).await;
        assert_eq!(shaken.error_code, 0);
        let token = format!("\0ann\0{password}");
        client.stream.write_u32(u32::try_from(token.len()).unwrap()).await.unwrap();
        client.stream.write_all(token.as_bytes()).await.unwrap();
        assert_eq!(client.answer().await, is_right.then(Bytes::new));
        if is_right {
            assert_eq!(client.create("t", 1, &[]).await, 0);
        }
    }
}

#[tokio::test]
async fn salted_passwords() {
    let server = Server::start_with(users).await;
    let mut client = server.client().await;
    assert!(scram(&mut client, "ann", "ann's secret").await);
    assert_eq!(client.create("t", 1, &[]).await, 0);
    let mut stranger = server.client().await;
    assert!(!scram(&mut stranger, "ann", "guess").await);
}

#[tokio::test]
async fn rules_say_who_may_do_what() {
    let server = Server::start_with(|settings| {
        users(settings);
        let rule = |kind, names, operations: &[Operation]| Rule {
            principal: "User:bob".into(),
            kind,
            names,
            operations: Some(operations.to_vec()),
        };
        settings.super_users = vec!["User:ann".into()];
        settings.rules = vec![rule(ResourceKind::Topic, Names::BeginWith("open-".into()), &[Operation::Read])];
    })
    .await;
    let (mut ann, mut bob) = (server.client().await, server.client().await);
    plain(&mut ann, "ann", "ann's secret").await;
    plain(&mut bob, "bob", "bob's secret").await;
    for topic in ["open-1", "closed"] {
        assert_eq!(ann.create(topic, 1, &[]).await, 0);
        assert_eq!(ann.produce(topic, 0, batch(&["a"])).await.error_code, 0);
    }
    assert_eq!(bob.values("open-1", 0, false).await, ["a"]);
    let refused = bob.produce("open-1", 0, batch(&["b"])).await;
    assert_eq!(refused.error_code, TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(refused.error_message.as_deref(), Some("User:bob may not write topic open-1"));
    let data = bob.fetch("closed", 0, 0).await.responses.remove(0).partitions.remove(0);
    assert_eq!(data.error_code, TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(bob.create("open-2", 1, &[]).await, TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(bob.offset_at("closed", 0, -1, false).await.0, TOPIC_AUTHORIZATION_FAILED);
    let seen = bob.ask(12, &MetadataRequest::default().with_topics(None)).await;
    assert_eq!(seen.topics.iter().filter_map(|t| t.name.clone()).collect::<Vec<_>>(), [name("open-1")]);
}

/// Certificates of one authority.
struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    fn new() -> Certificates {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Certificates { authority }
    }

    /// A certificate and its key, in DER.
    fn of(&self, common_name: &str) -> (CertificateDer<'static>, KeyPair) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.authority).unwrap().der().clone(), key)
    }

    fn write(&self, dir: &Path) -> TlsFiles {
        let (certificate, key) = self.of("server");
        let file = |name: &str, text: String| {
            std::fs::write(dir.join(name), text).unwrap();
            dir.join(name)
        };
        let pem =
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&certificate));
        TlsFiles {
            certificate: file("server.pem", pem),
            key: file("server.key", key.serialize_pem()),
            client_ca: Some(file("ca.pem", self.authority.pem())),
        }
    }

    /// A client of TLS, with a certificate of that name.
    fn connector(&self, common_name: Option<&str>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        TlsConnector::from(Arc::new(match common_name {
            None => config.with_no_client_auth(),
            Some(name) => {
                let (certificate, key) = self.of(name);
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
                config.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        }))
    }
}

#[tokio::test]
async fn certificates_say_who_a_client_is() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = Certificates::new();
    let files = certificates.write(dir.path());
    let server = Server::start_with(|settings| {
        settings.tls = Some(files);
        settings.rules = vec![Rule {
            principal: "User:O=Example,CN=ann".into(),
            kind: ResourceKind::Topic,
            names: Names::All,
            operations: None,
        }];
    })
    .await;
    recordlog::RecordLog::create_topic(&*server.log, "t", recordlog::TopicConfig::with_partitions(1)).await.unwrap();
    // How many topics somebody sees; `None` when he is not let in.
    let sees = async |connector: TlsConnector| {
        let socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), socket).await.ok()?;
        stream.write_all(&frame(12, 1, &MetadataRequest::default().with_topics(None))).await.ok()?;
        let length = stream.read_u32().await.ok()?;
        let mut body = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut body).await.ok()?;
        // Behind correlation id and tags.
        let mut body = Bytes::from(body).slice(5..);
        let answer: kafka_protocol::messages::MetadataResponse =
            kafka_protocol::protocol::Decodable::decode(&mut body, 12).unwrap();
        Some(answer.topics.len())
    };
    assert_eq!(sees(certificates.connector(Some("ann"))).await, Some(2));
    assert_eq!(sees(certificates.connector(Some("bob"))).await, Some(0));
    assert_eq!(sees(certificates.connector(None)).await, None);
    let others = Certificates::new();
    assert_eq!(sees(others.connector(Some("ann"))).await, None);
    // Who speaks no TLS hears nothing that makes sense, and nobody is harmed.
    let mut plain = server.client().await;
    plain.stream.write_all(&frame(12, 1, &MetadataRequest::default())).await.unwrap();
    let mut rest = Vec::new();
    let _ = plain.stream.read_to_end(&mut rest).await;
    assert_eq!(sees(certificates.connector(Some("ann"))).await, Some(2));
    server.stop().await;
}
