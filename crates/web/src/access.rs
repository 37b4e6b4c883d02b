//! Who may call what.
//!
//! ```text
//! request ──► from a browser on another site? (403) ──► the route's permission ──► token (401) ──► role (403)
//!         ──► too many requests? (429) ──► handler
//! ```
//!
//! A handler that shows or changes what belongs to one client asks the caller which one: what belongs to another client does
//! not exist for it (404).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use spillway_control::{AccessError, Identity};
use spillway_provisioning::Caller;
use spillway_serve::{ClientAddress, Problem};

use crate::answer::blocking;
use crate::api::Api;
use crate::problems::{CROSS_SITE, FORBIDDEN, LOG_UNAVAILABLE, TOKEN_MISSING, TOKEN_REFUSED, UNKNOWN_HOST};
use crate::text::chain;

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Nothing: everybody may call it.
    Public,
    /// To read what is provisioned; a client's people only what is theirs.
    Read,
    /// To see why an answer was given; a client's people only for their sites.
    Explain,
    /// To see what probes do.
    SeeProbes,
    /// To see who changed what.
    SeeChanges,
    /// To see what has happened; a client's people only what is theirs.
    SeeEvents,
    /// To change what is provisioned.
    Change,
    /// To accept losses and to reset the clock.
    Operate,
    /// To propose and answer agreements; a client's admins only those with their client.
    Agree,
    /// To list, create and revoke tokens; a client's admins only those of their client.
    ManageTokens,
}

/// Every route with its permission. A route that is not listed here answers nobody.
pub const ROUTES: [(Method, &str, Permission); 23] = [
    (Method::GET, "/ready", Permission::Public),
    (Method::GET, "/problems/{name}", Permission::Public),
    // It says nothing of an installation.
    (Method::GET, "/v1/openapi.json", Permission::Public),
    (Method::GET, "/v1/provisioning", Permission::Read),
    (Method::POST, "/v1/provisioning", Permission::Change),
    (Method::GET, "/v1/{kind}", Permission::Read),
    (Method::GET, "/v1/{kind}/{*name}", Permission::Read),
    (Method::PUT, "/v1/{kind}/{*name}", Permission::Change),
    (Method::DELETE, "/v1/{kind}/{*name}", Permission::Change),
    (Method::POST, "/v1/gaps", Permission::Operate),
    (Method::POST, "/v1/clock-resets", Permission::Operate),
    (Method::GET, "/v1/explain/{site}", Permission::Explain),
    (Method::GET, "/v1/probes", Permission::SeeProbes),
    (Method::GET, "/v1/changes", Permission::SeeChanges),
    (Method::POST, "/v1/changes/{number}/undo", Permission::Change),
    (Method::POST, "/v1/agreements", Permission::Agree),
    (Method::POST, "/v1/agreement-drafts", Permission::Agree),
    (Method::POST, "/v1/agreements/{name}/{version}/counter", Permission::Agree),
    (Method::POST, "/v1/agreements/{name}/{version}/{act}", Permission::Agree),
    (Method::GET, "/v1/events", Permission::SeeEvents),
    (Method::GET, "/v1/tokens", Permission::ManageTokens),
    (Method::POST, "/v1/tokens", Permission::ManageTokens),
    (Method::DELETE, "/v1/tokens/{id}", Permission::ManageTokens),
];

/// Whether a caller has a permission.
#[must_use]
pub fn may(caller: &Caller, permission: Permission) -> bool {
    use Permission::{
        Agree, Change, Explain, ManageTokens, Operate, Public, Read, SeeChanges, SeeEvents, SeeProbes,
    };
    match (caller, permission) {
        (_, Public) | (Caller::Operator, _) => true,
        (Caller::Analyst, Read | Explain | SeeProbes | SeeChanges | SeeEvents) => true,
        (Caller::ClientAdmin(_), Read | Explain | SeeEvents | Agree | ManageTokens) => true,
        (Caller::ClientViewer(_), Read | Explain | SeeEvents) => true,
        (Caller::Analyst, Change | Operate | Agree | ManageTokens)
        | (Caller::ClientAdmin(_), Change | Operate | SeeProbes | SeeChanges)
        | (Caller::ClientViewer(_), Change | Operate | SeeProbes | SeeChanges | Agree | ManageTokens)
        // Machines read assignments and send statistics elsewhere.
        | (Caller::Cdn(_) | Caller::Probe(_), _) => false,
    }
}

/// Lets a request through to its handler, with the [`Identity`] of its caller; or says why not. Every request counts, for its
/// token or, without a valid one, for its address.
pub(crate) async fn authorize(
    State(api): State<Api>,
    route: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let admission = admit(&api, request.method(), route.as_str(), request.headers()).await;
    let standing = match &admission.identity {
        Some(identity) => api.limiters.of_token(&identity.author),
        None => api.limiters.of_address(address_of(&request)),
    };
    let mut response = match (standing.refusal(), admission.refusal) {
        (Some(problem), _) => problem.into_response(),
        (None, Some(refusal)) => refusal,
        (None, None) => {
            if let Some(identity) = admission.identity {
                request.extensions_mut().insert(identity);
            }
            next.run(request).await
        }
    };
    standing.write(response.headers_mut());
    response
}

/// Who sent a request, and why it is not let in.
struct Admission {
    /// None without a valid token.
    identity: Option<Identity>,
    refusal: Option<Response>,
}

async fn admit(api: &Api, method: &Method, route: &str, headers: &HeaderMap) -> Admission {
    let refuse = |refusal: Response| Admission { identity: None, refusal: Some(refusal) };
    if let Some(problem) = refuse_cross_site(headers, &api.names) {
        return refuse(problem.into_response());
    }
    // A HEAD request is a GET whose body is not sent.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let listed = ROUTES.iter().find(|(of, path, _)| of == method && *path == route);
    let Some((.., permission)) = listed else {
        return refuse(Problem::new(&FORBIDDEN, "nobody may call this route").into_response());
    };
    if *permission == Permission::Public {
        return Admission { identity: None, refusal: None };
    }
    let token = match bearer(headers) {
        Ok(token) => token,
        Err(problem) => return refuse(unauthorized(problem)),
    };
    let (access, now) = (Arc::clone(&api.access), (api.now)());
    let identity = match blocking(move || Ok(access.identify(&token, now))).await {
        Ok(Ok(identity)) => identity,
        Ok(Err(error @ AccessError::Unavailable)) => {
            let problem = Problem::new(&LOG_UNAVAILABLE, chain(&error));
            return refuse(problem.with_retry_after(RETRY_AFTER_SECS).into_response());
        }
        Ok(Err(error)) => return refuse(unauthorized(Problem::new(&TOKEN_REFUSED, chain(&error)))),
        Err(problem) => return refuse(problem.into_response()),
    };
    let is_allowed = may(&identity.caller, *permission);
    let refusal = (!is_allowed).then(|| {
        let detail = format!("the token of {} does not allow this", identity.author);
        Problem::new(&FORBIDDEN, detail).into_response()
    });
    Admission { identity: Some(identity), refusal }
}

/// The address of a client; that of nobody where the server does not tell it.
fn address_of(request: &Request) -> IpAddr {
    let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    request.extensions().get().map_or(nobody, |ClientAddress(address)| *address)
}

/// When a caller whose token could not be looked up may try again.
const RETRY_AFTER_SECS: u64 = 5;

/// The token in a request (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<String, Problem> {
    let refuse = |why: &str| Problem::new(&TOKEN_REFUSED, why);
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        let detail = "a token is needed: send it as `Authorization: Bearer TOKEN`";
        return Err(Problem::new(&TOKEN_MISSING, detail));
    };
    if given.next().is_some() {
        return Err(refuse("there are several Authorization headers; send one"));
    }
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim().to_owned()),
        _ => Err(refuse("the Authorization header is not `Bearer TOKEN`")),
    }
}

fn unauthorized(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// Refuses what a page of another site makes a browser send (Fetch Metadata), and names that only an attacker's DNS gives this
/// address (DNS rebinding). `names` are the host names of this API besides `localhost` and addresses.
fn refuse_cross_site(headers: &HeaderMap, names: &[String]) -> Option<Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text("host").unwrap_or_default();
    let name = host_name(host);
    let is_own = name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|own| own.eq_ignore_ascii_case(name));
    if !is_own {
        let shown: String = name.chars().take(100).collect();
        let detail = format!(
            "`{shown}` in the Host header is not a name of this API; start it with --api-name {shown} if it should be"
        );
        return Some(Problem::new(&UNKNOWN_HOST, detail));
    }
    let refuse = |detail| Some(Problem::new(&CROSS_SITE, detail));
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return refuse("a page of another site may not call this API (Sec-Fetch-Site)");
    }
    let of_host =
        |origin: &str| origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host));
    if text("origin").is_some_and(|origin| !of_host(origin)) {
        return refuse("a page of another site may not call this API (Origin)");
    }
    None
}

/// The host of a Host header, without its port and the brackets of an IPv6 address.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or("", |(address, _)| address);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}
