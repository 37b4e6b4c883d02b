//! The server over TLS, with a real client.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use spillway_serve::{Limits, Tls, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::{PATIENCE, ask, limits, start_with};

/// A certificate for `localhost`, and the files of it and its key.
struct Pair {
    trusted: CertificateDer<'static>,
    certificate: PathBuf,
    key: PathBuf,
    _folder: tempfile::TempDir,
}

impl Pair {
    fn new() -> Self {
        let pair = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, pair.cert.pem()).unwrap();
        std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
        Self { trusted: pair.cert.der().clone(), certificate, key, _folder: folder }
    }

    fn tls(&self) -> Tls {
        Tls::from_files(&self.certificate, &self.key).unwrap()
    }

    /// A connection of a client that trusts this certificate only.
    async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.trusted.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
    }
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

async fn get(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut text = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_is_answered() {
    let (pair, other) = (Pair::new(), Pair::new());
    let (address, _running) = start_with(limits(), Some(pair.tls())).await;
    let mut stream = pair.connect(address).await.unwrap();
    assert!(get(&mut stream).await.ends_with("hello"));
    assert!(other.connect(address).await.is_err(), "it trusts another certificate");
    assert!(!ask(address, REQUEST).await.contains("HTTP/1.1"), "without TLS there is no HTTP");
}

/// A client that says nothing holds one of two places until the handshake has taken too long.
#[tokio::test]
async fn an_unfinished_handshake_counts_and_ends() {
    let pair = Pair::new();
    let short =
        Limits { handshake_timeout: Duration::from_millis(200), header_timeout: PATIENCE, ..limits() };
    let (address, _running) = start_with(short, Some(pair.tls())).await;
    assert_eq!(ask(address, "").await, "");

    let long = Limits { connections_per_client_max: 1, handshake_timeout: PATIENCE, ..limits() };
    let (address, _running) = start_with(long, Some(pair.tls())).await;
    let silent = TcpStream::connect(address).await.unwrap();
    // The server admits connections in their order.
    assert!(pair.connect(address).await.is_err(), "the only place is taken");
    drop(silent);
    for _ in 0..500 {
        if let Ok(mut stream) = pair.connect(address).await {
            assert!(get(&mut stream).await.ends_with("hello"));
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place never became free");
}

#[test]
fn files_that_are_no_pair_are_named() {
    let (one, other) = (Pair::new(), Pair::new());
    let error = |certificate: &PathBuf, key: &PathBuf| Tls::from_files(certificate, key).err().unwrap();
    assert!(matches!(error(&one.certificate, &other.key), TlsError::Pair(..)));
    assert!(matches!(error(&one.key, &one.key), TlsError::NoCertificate(_)));
    assert!(matches!(error(&one.certificate, &one.certificate), TlsError::Key(..)));
    let missing = one.key.with_file_name("none");
    assert!(matches!(error(&missing, &one.key), TlsError::Certificate(..)));
    assert!(error(&missing, &one.key).to_string().contains("none"));
}
