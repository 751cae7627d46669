//! Clusters that want to know who asks, and do not let others listen: what reads partitions and librdkafka take the same
//! settings for it.

use std::{fs, net::TcpListener, path::Path};

use host::Host;
use kafka::ClusterLog;
use kafkaserver::{TlsFiles, User};
use openssl::{
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    stack::Stack,
    symm::Cipher,
    x509::X509,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use recordlog::{LogError, RecordLog};

use crate::support::*;

/// An authority, and what a client with its certificate has.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for a name, and its key, in PEM.
    fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// What a server of that name needs, in a folder.
    fn server(&self, dir: &Path, name: &str, ask_clients: bool) -> TlsFiles {
        let (certificate, key) = self.certify(name);
        let file = |name: &str, text: &str| {
            fs::write(dir.join(name), text).unwrap();
            dir.join(name)
        };
        let client_ca = file("ca.pem", &self.0.pem());
        TlsFiles {
            certificate: file("server.pem", &certificate),
            key: file("server.key", &key),
            client_ca: ask_clients.then_some(client_ca),
        }
    }
}

/// Write and read a record with these settings.
async fn go_through(server: &Server, host: &str, properties: &[(&str, &str)]) -> Result<(), LogError> {
    let cluster = Cluster::at(format!("{host}:{}", server.address.port()));
    let log = ClusterLog::open(cluster.config(properties), Host::real()).await?;
    let topic = cluster.topic("secret");
    log.create_topic(&topic, config(1, &[])).await?;
    commit(&log, Some("w"), vec![append(&topic, 0, &[rec("k", "v", 1)])]).await?;
    assert_eq!(read_all(&log, &topic, 0), [rec("k", "v", 1)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_passwords() {
    let ann = User { name: "ann".into(), password: "ann's secret".into() };
    let server = Server::start_with(Host::in_memory(), 0, |settings| settings.users = vec![ann]);
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let properties = [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", mechanism),
            ("sasl.username", "ann"),
            ("sasl.password", "ann's secret"),
        ];
        go_through(&server, "127.0.0.1", &properties).await.unwrap();
        let mut wrong = properties;
        wrong[3].1 = "a guess";
        let error = go_through(&server, "127.0.0.1", &wrong).await.unwrap_err().to_string();
        assert!(error.to_lowercase().contains("authentication"), "{mechanism}: {error}");
    }
    for (properties, expect) in [
        (vec![("security.protocol", "SASL_PLAINTEXT")], "sasl.mechanism"),
        (vec![("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "OAUTHBEARER")], "OAUTHBEARER"),
        (vec![("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "PLAIN")], "sasl.username"),
    ] {
        let error = go_through(&server, "127.0.0.1", &properties).await.unwrap_err();
        assert!(matches!(&error, LogError::Invalid(text) if text.contains(expect)), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let files = authority.server(dir.path(), "localhost", true);
    // It has to tell by which name it is called, and so its port before it listens: one that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::start_with(Host::in_memory(), port, |settings| {
        settings.tls = Some(files);
        settings.advertised = Some(("localhost".to_owned(), port));
    });
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = authority.certify("ann");
    fs::write(path("ann.pem"), &certificate).unwrap();
    fs::write(path("ann.key"), &key).unwrap();
    let pkey = PKey::private_key_from_pem(key.as_bytes()).unwrap();
    let locked = pkey.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"a word").unwrap();
    fs::write(path("locked.key"), locked).unwrap();
    fs::write(path("ann.p12"), key_store(&certificate, &pkey, &authority.0.pem(), "another word")).unwrap();

    let (ca, ca_pem) = (path("ca.pem"), authority.0.pem());
    let trusting = [("security.protocol", "SSL"), ("ssl.ca.location", &*ca)];
    let (ann_pem, ann_key, locked_key, ann_p12) =
        (path("ann.pem"), path("ann.key"), path("locked.key"), path("ann.p12"));
    let own = ("ssl.certificate.location", &*ann_pem);
    for rest in [
        vec![own, ("ssl.key.location", &*ann_key)],
        vec![own, ("ssl.key.location", &*locked_key), ("ssl.key.password", "a word")],
        vec![("ssl.keystore.location", &*ann_p12), ("ssl.keystore.password", "another word")],
        vec![("ssl.certificate.pem", &*certificate), ("ssl.key.pem", &*key), ("ssl.cipher.suites", "DEFAULT")],
    ] {
        go_through(&server, "localhost", &[&trusting[..], &rest].concat()).await.unwrap();
    }
    let by_text = [("security.protocol", "SSL"), ("ssl.ca.pem", &*ca_pem), own, ("ssl.key.location", &*ann_key)];
    go_through(&server, "localhost", &by_text).await.unwrap();
    // By another name than the certificate's.
    let named_otherwise = [&trusting[..], &[own, ("ssl.key.location", &*ann_key)]].concat();
    let unnamed = [&named_otherwise[..], &[("ssl.endpoint.identification.algorithm", "none")]].concat();
    assert!(go_through(&server, "127.0.0.1", &named_otherwise).await.is_err());
    go_through(&server, "127.0.0.1", &unnamed).await.unwrap();
    for (name, value) in [("ssl.ca.location", "/no/such/file"), ("ssl.engine.location", "/no/such/engine")] {
        let error = go_through(&server, "localhost", &[("security.protocol", "SSL"), (name, value)]).await.unwrap_err();
        assert!(matches!(&error, LogError::Invalid(text) if text.contains(name)), "{error}");
    }
}

/// A PKCS #12 file.
fn key_store(certificate: &str, key: &PKey<Private>, authority: &str, password: &str) -> Vec<u8> {
    let mut others = Stack::new().unwrap();
    others.push(X509::from_pem(authority.as_bytes()).unwrap()).unwrap();
    let own = X509::from_pem(certificate.as_bytes()).unwrap();
    Pkcs12::builder().name("ann").pkey(key).cert(&own).ca(others).build2(password).unwrap().to_der().unwrap()
}
