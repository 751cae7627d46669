//! Encrypted connections, by the settings that librdkafka has for them, and by the same OpenSSL.

use std::{collections::BTreeMap, fmt::Display, fs, path::Path, pin::Pin};

use openssl::{
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    ssl::{SslConnector, SslConnectorBuilder, SslFiletype, SslMethod, SslVerifyMode},
    x509::{
        X509,
        store::{X509Lookup, X509StoreBuilder},
        verify::X509VerifyFlags,
    },
};
use recordlog::{LogError, Result};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// What is understood here.
const UNDERSTOOD: &[&str] = &[
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.sigalgs.list",
];

/// Where systems keep the authorities that they trust, tried in turn where none are named.
const SYSTEM_AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
];

/// How to encrypt, and whom to trust.
pub(crate) struct Tls {
    connector: SslConnector,
    /// Whether a broker's certificate must be for the name by which it is called.
    verify_name: bool,
}

type Properties = BTreeMap<String, String>;

impl Tls {
    /// By the properties that begin with `ssl.`.
    ///
    /// # Errors
    /// [`LogError::Invalid`]: one is not understood, or what it names cannot be used.
    pub fn new(properties: &Properties) -> Result<Tls> {
        let unknown = |name: &&String| name.starts_with("ssl.") && !UNDERSTOOD.contains(&name.as_str());
        if let Some(name) = properties.keys().find(unknown) {
            return Err(LogError::Invalid(format!("{name} is not understood by what reads partitions")));
        }
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(|e| invalid("TLS", &e))?;
        trust(&mut builder, properties)?;
        present(&mut builder, properties)?;
        let list = |name: &str| properties.get(name).map(String::as_str);
        if let Some(suites) = list("ssl.cipher.suites") {
            builder.set_cipher_list(suites).map_err(|e| invalid("ssl.cipher.suites", &e))?;
        }
        if let Some(curves) = list("ssl.curves.list") {
            builder.set_groups_list(curves).map_err(|e| invalid("ssl.curves.list", &e))?;
        }
        if let Some(algorithms) = list("ssl.sigalgs.list") {
            builder.set_sigalgs_list(algorithms).map_err(|e| invalid("ssl.sigalgs.list", &e))?;
        }
        if properties.get("enable.ssl.certificate.verification").is_some_and(|value| value == "false") {
            builder.set_verify(SslVerifyMode::NONE);
        }
        let verify_name = properties.get("ssl.endpoint.identification.algorithm").is_none_or(|value| value != "none");
        Ok(Tls { connector: builder.build(), verify_name })
    }

    /// Encrypt a connection to a host of that name.
    pub async fn wrap(&self, host: &str, stream: TcpStream) -> std::result::Result<SslStream<TcpStream>, String> {
        let config = self.connector.configure().map_err(|e| e.to_string())?;
        let ssl = config.verify_hostname(self.verify_name).into_ssl(host).map_err(|e| e.to_string())?;
        let mut stream = SslStream::new(ssl, stream).map_err(|e| e.to_string())?;
        let connected = Pin::new(&mut stream).connect().await;
        connected.map_err(|e| {
            // What is wrong with the certificate says more than that something is.
            let verdict = stream.ssl().verify_result();
            if verdict == openssl::x509::X509VerifyResult::OK { e.to_string() } else { format!("{e}: {verdict}") }
        })?;
        Ok(stream)
    }
}

/// Whom to trust.
fn trust(builder: &mut SslConnectorBuilder, properties: &Properties) -> Result<()> {
    let mut store = X509StoreBuilder::new().map_err(|e| invalid("TLS", &e))?;
    let mut trust_all = |name: &str, pem: &[u8]| -> Result<()> {
        for authority in X509::stack_from_pem(pem).map_err(|e| invalid(name, &e))? {
            store.add_cert(authority).map_err(|e| invalid(name, &e))?;
        }
        Ok(())
    };
    let named = properties.get("ssl.ca.location").map(String::as_str).filter(|path| *path != "probe");
    let place = match (properties.get("ssl.ca.pem"), named) {
        (Some(pem), _) => {
            trust_all("ssl.ca.pem", pem.as_bytes())?;
            None
        }
        (None, Some(path)) => Some(path),
        (None, None) => SYSTEM_AUTHORITIES.iter().copied().find(|path| Path::new(path).exists()),
    };
    match place {
        Some(path) if Path::new(path).is_dir() => {
            let lookup = store.add_lookup(X509Lookup::hash_dir()).map_err(|e| invalid("ssl.ca.location", &e))?;
            lookup.add_dir(path, SslFiletype::PEM).map_err(|e| invalid("ssl.ca.location", &e))?;
        }
        Some(path) => trust_all("ssl.ca.location", &read("ssl.ca.location", path)?)?,
        None => {}
    }
    if let Some(path) = properties.get("ssl.crl.location") {
        let lookup = store.add_lookup(X509Lookup::file()).map_err(|e| invalid("ssl.crl.location", &e))?;
        lookup.load_crl_file(path, SslFiletype::PEM).map_err(|e| invalid("ssl.crl.location", &e))?;
        store.set_flags(X509VerifyFlags::CRL_CHECK).map_err(|e| invalid("ssl.crl.location", &e))?;
    }
    builder.set_cert_store(store.build());
    Ok(())
}

/// What to show brokers that ask who this is.
fn present(builder: &mut SslConnectorBuilder, properties: &Properties) -> Result<()> {
    if let Some(path) = properties.get("ssl.keystore.location") {
        let failed = |e: &dyn Display| invalid("ssl.keystore.location", e);
        let password = properties.get("ssl.keystore.password").map_or("", String::as_str);
        let store = Pkcs12::from_der(&read("ssl.keystore.location", path)?).map_err(|e| failed(&e))?;
        let store = store.parse2(password).map_err(|e| failed(&e))?;
        let own = store.cert.into_iter();
        use_certificates(builder, own.chain(store.ca.into_iter().flatten())).map_err(|e| failed(&e))?;
        if let Some(key) = store.pkey {
            builder.set_private_key(&key).map_err(|e| failed(&e))?;
        }
    }
    if let Some((name, pem)) = given(properties, "ssl.certificate.pem", "ssl.certificate.location")? {
        let chain = X509::stack_from_pem(&pem).map_err(|e| invalid(name, &e))?;
        use_certificates(builder, chain.into_iter()).map_err(|e| invalid(name, &e))?;
    }
    if let Some((name, pem)) = given(properties, "ssl.key.pem", "ssl.key.location")? {
        let key = private_key(&pem, properties.get("ssl.key.password")).map_err(|e| invalid(name, &e))?;
        builder.set_private_key(&key).map_err(|e| invalid(name, &e))?;
    }
    Ok(())
}

/// The first is one's own, the others lead to somebody who is trusted.
fn use_certificates(
    builder: &mut SslConnectorBuilder,
    mut chain: impl Iterator<Item = X509>,
) -> std::result::Result<(), openssl::error::ErrorStack> {
    if let Some(own) = chain.next() {
        builder.set_certificate(&own)?;
    }
    chain.try_for_each(|other| builder.add_extra_chain_cert(other))
}

fn private_key(
    pem: &[u8],
    password: Option<&String>,
) -> std::result::Result<PKey<Private>, openssl::error::ErrorStack> {
    // Without a password OpenSSL would ask on the terminal.
    PKey::private_key_from_pem_passphrase(pem, password.map_or("", String::as_str).as_bytes())
}

/// What a property holds, or the file that another one names; and by which of them.
fn given(
    properties: &Properties,
    pem: &'static str,
    location: &'static str,
) -> Result<Option<(&'static str, Vec<u8>)>> {
    if let Some(text) = properties.get(pem) {
        return Ok(Some((pem, text.clone().into_bytes())));
    }
    let path = properties.get(location);
    path.map(|path| Ok((location, read(location, path)?))).transpose()
}

fn read(name: &str, path: &str) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| invalid(name, &format!("{path}: {e}")))
}

fn invalid(name: &str, error: &dyn Display) -> LogError {
    LogError::Invalid(format!("{name}: {error}"))
}
