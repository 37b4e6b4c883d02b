//! TLS of a server, from a certificate and a key in files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

/// The certificate and the key with which a server speaks TLS 1.3 and 1.2.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Why the files of a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate cannot be read.
    #[error("{} is not a PEM file of certificates that can be read", .0.display())]
    Certificate(PathBuf, #[source] pem::Error),
    /// There is no certificate.
    #[error("{} has no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// The key cannot be read.
    #[error("{} is not a PEM file of a private key that can be read", .0.display())]
    Key(PathBuf, #[source] pem::Error),
    /// They do not belong together, or are of a sort that is not supported.
    #[error("{} and {} cannot be used together", .0.display(), .1.display())]
    Pair(PathBuf, PathBuf, #[source] rustls::Error),
}

impl Tls {
    /// The certificate, with those that lead to its authority, in one PEM file, and its private key in another one.
    ///
    /// # Errors
    /// When a file cannot be read, or they do not belong together.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let bad = |error| TlsError::Certificate(certificate.to_owned(), error);
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
            .map_err(bad)?
            .collect::<Result<_, _>>()
            .map_err(bad)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(certificate.to_owned()));
        }
        let private =
            PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::Key(key.to_owned(), error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
        let mut config =
            config.map_err(|error| TlsError::Pair(certificate.to_owned(), key.to_owned(), error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Makes a connection with a client; none if it does not speak TLS as it should.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        self.0.accept(stream).await.ok()
    }
}
