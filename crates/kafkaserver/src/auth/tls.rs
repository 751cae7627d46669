//! TLS: the server's certificate, and clients' where they need one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{io, net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};

use super::subject;

/// How long a handshake may take.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and one that clients trust.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Certificates that clients' ones have to be signed by; `None`: clients need none.
    pub client_ca: Option<PathBuf>,
}

/// What is wrong with the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read, or has nothing of the kind in it.
    #[error("{}: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// They do not fit together.
    #[error("certificate and key: {0}")]
    Unfit(String),
}

/// Take connections as these files say.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let unfit = |error: &dyn std::fmt::Display| TlsError::Unfit(error.to_string());
    let provider = Arc::new(default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let config = config.map_err(|error| unfit(&error))?;
    let config = match &files.client_ca {
        None => config.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| unfit(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.map_err(|error| unfit(&error))?)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| TlsError::File { path: files.key.clone(), what: error.to_string() })?;
    let config = config.with_single_cert(certificates(&files.certificate)?, key).map_err(|error| unfit(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |what: String| TlsError::File { path: path.clone(), what };
    let read = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| failed(error.to_string()))?;
    if all.is_empty() { Err(failed("there is no certificate in it".into())) } else { Ok(all) }
}

/// The handshake; the connection, and the subject of the client's certificate if it has one.
pub(crate) async fn accept(
    acceptor: &TlsAcceptor,
    socket: TcpStream,
) -> io::Result<(TlsStream<TcpStream>, Option<String>)> {
    let slow = |_| io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake did not end");
    let stream = timeout(HANDSHAKE_TIME_MAX, acceptor.accept(socket)).await.map_err(slow)??;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let unread =
        || io::Error::new(io::ErrorKind::InvalidData, "the subject of the client's certificate is not readable");
    let subject = certificate.map(|certificate| subject::of(certificate).ok_or_else(unread)).transpose()?;
    Ok((stream, subject))
}
