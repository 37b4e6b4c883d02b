//! A served API on an embedded log, with the token of an operator.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use spillway_control::{CommandHead, Provisioner, digest_of, new_token};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{Role, TimeMicros};
use spillway_provisioning::NewToken;
use spillway_serve::Limits;
use spillway_web::{Api, RateLimits, router};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const NOW: TimeMicros = TimeMicros(1_700_000_000_000_000);

pub(crate) const DOCUMENTS: &str =
    "kind: client\nname: acme\n---\nkind: site\nname: shop\nclient: acme\nhosts: [www.acme.example]\n";

/// A client without certificates: it needs a provider of cryptography even so.
fn client() -> Client {
    // Another test may have done it.
    let _ = default_provider().install_default();
    Client::builder().tls_certs_only([]).build().unwrap()
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Of an operator.
    pub(crate) token: String,
    pub(crate) provisioner: Arc<Provisioner>,
    pub(crate) log: Arc<dyn EventLog>,
    _running: DropGuard,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(RateLimits::default()).await
    }

    pub(crate) async fn start_with(limits: RateLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::create(folder.path()).unwrap());
        spillway_runtime::topics::create(log.as_ref(), 1).unwrap();
        let provisioner = Arc::new(Provisioner::new(Arc::clone(&log)));
        let token = new_token().unwrap();
        let (role, subject, note, expires_at_us) = (Role::Operator, None, String::from("test"), None);
        let new = NewToken { sha256: digest_of(&token).unwrap(), role, subject, note, expires_at_us };
        provisioner.create_first_token(new, CommandHead::on_log("first", TimeMicros(0))).unwrap();
        let ready = Arc::new(|| json!({"roles": []}));
        let api = Api::new(Arc::clone(&log), Arc::clone(&provisioner), ready, || NOW);
        let api = api.with_names(vec![String::from("api.provider.example")]).with_rate_limits(limits);
        let listener = spillway_serve::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        tokio::spawn(spillway_serve::serve(listener, None, router(api), Limits::default(), cancel.clone()));
        Self { address, token, provisioner, log, _running: cancel.drop_guard(), _folder: folder }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request of the operator.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(&self.token)
    }

    /// A request without a token.
    pub(crate) fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        client().request(method.parse::<Method>().unwrap(), self.url(path))
    }

    pub(crate) async fn apply(&self, query: &str, text: &str) -> (StatusCode, Value) {
        let request = self.request("POST", &format!("/v1/provisioning{query}"));
        let request = request.header("content-type", "application/yaml").body(text.to_owned());
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// Status, content type and body.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String, String) {
        let response = self.request("GET", path).send().await.unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (response.status(), kind, response.text().await.unwrap())
    }

    /// Creates a token by the API: its text and its id.
    pub(crate) async fn create_token(&self, role: &str, subject: Option<&str>) -> (String, String) {
        let body = json!({"role": role, "subject": subject, "note": format!("{role} of a test")});
        let response = self.request("POST", "/v1/tokens").json(&body).send().await.unwrap();
        let (status, body) = (response.status(), response.json::<Value>().await.unwrap());
        assert_eq!(status, StatusCode::OK, "{body}");
        (body["token"].as_str().unwrap().to_owned(), body["id"].as_str().unwrap().to_owned())
    }
}
