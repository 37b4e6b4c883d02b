//! What a query message is answered with: a pure function of the table, the provider's zone and the query.
//!
//! | the site's route | asked at | answer |
//! |---|---|---|
//! | origin | any name | A or AAAA of the origin; NODATA for any other type |
//! | CDN | not an apex | one CNAME to the CDN's name for the site, for every type (RFC 1034, section 3.6.2) |
//! | CDN | the zone's apex | A or AAAA provisioned for the CDN: no CNAME may stand there (RFC 1912, section 2.4) |
//!
//! With a [`Zone`] the provider's own zone is served whole: SOA and NS at its apex, NXDOMAIN within, and NODATA where
//! only longer names exist (RFC 8020). A host name outside that zone is a zone of its own: it owns the SOA of its negative
//! answers, and the names below it do not exist unless they are hosts, or have hosts below them. Every other name is
//! refused.

mod resolve;
mod subnet;
#[cfg(test)]
mod tests;
mod zone;

use std::net::IpAddr;

use hickory_proto::op::{self, Edns, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption, NSIDPayload};
use hickory_proto::rr::{DNSClass, Record};
use spillway_events::{NetworkName, Route, SiteName};

pub use self::resolve::{NEGATIVE_TTL_SECS_MAX, SCOPE_V4_MAX, SCOPE_V6_MAX};
pub use self::subnet::{MalformedSubnet, Subnet};
pub use self::zone::{Zone, ZoneError};
use crate::table::Table;

/// The most bytes of a UDP message, whatever the resolver offers (DNS flag day 2020).
pub const UDP_BYTES_MAX: u16 = 1_232;

/// A decoded query message.
#[derive(Debug, Clone, Copy)]
pub struct Query<'m> {
    /// Its header.
    pub metadata: &'m Metadata,
    /// Its question, if it has exactly one.
    pub question: Option<&'m op::Query>,
    /// Its EDNS record (RFC 6891).
    pub edns: Option<&'m Edns>,
    /// The bytes it was decoded from.
    pub bytes: &'m [u8],
    /// The address that sent it.
    pub peer: IpAddr,
}

/// The answer to a query message: all of it but the question, which the encoder echoes.
#[derive(Debug, Clone)]
pub struct Answer<'t> {
    /// The header.
    pub metadata: Metadata,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section: the SOA of a negative answer (RFC 2308).
    pub authority: Option<Record>,
    /// EDNS, if the query had it. Its payload size is what a UDP message must fit in.
    pub edns: Option<Edns>,
    /// The scope prefix length for the Client Subnet option, in bits.
    pub scope: u8,
    /// What to count the answer under, if it is for a site.
    pub routed: Option<Routed<'t>>,
}

/// The site, network and route that an answer follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Routed<'t> {
    /// The site.
    pub site: &'t SiteName,
    /// The network of the client, or of its resolver; nothing if no prefix matches.
    pub network: Option<&'t NetworkName>,
    /// The route.
    pub route: &'t Route,
}

/// Answers a query message; a response is never answered.
///
/// NOTIMP for opcodes other than QUERY, but UPDATE is refused; FORMERR unless there is one question (RFC 9619) and for
/// a malformed Client Subnet; BADVERS for EDNS versions above 0 (RFC 6891, section 6.1.3); REFUSED for classes other
/// than IN. An answer to a well-formed query with the Client Subnet option carries that option. `nsid` is returned
/// when the query asks for it (RFC 5001).
#[must_use]
pub fn answer<'t>(
    table: &'t Table,
    zone: Option<&Zone>,
    nsid: Option<&[u8]>,
    query: &Query<'_>,
) -> Option<Answer<'t>> {
    if query.metadata.message_type == MessageType::Response {
        return None;
    }
    let mut answer = Answer::empty(query, nsid);
    let subnet = match check_form(query) {
        Ok(subnet) => subnet,
        Err(rcode) => {
            answer.metadata.response_code = rcode;
            return Some(answer);
        }
    };
    match query.question {
        None => answer.metadata.response_code = ResponseCode::FormErr,
        Some(question) if question.query_class() != DNSClass::IN => answer.refuse(),
        Some(question) => resolve::resolve(&mut answer, (table, zone), question, (subnet, query.peer)),
    }
    if let (Some(edns), Some(subnet)) = (&mut answer.edns, subnet) {
        let option = ClientSubnet::new(subnet.address, subnet.source_bits, answer.scope);
        edns.options_mut().insert(EdnsOption::Subnet(option));
    }
    Some(answer)
}

/// Checks what does not depend on the question, and reads the Client Subnet option.
fn check_form(query: &Query<'_>) -> Result<Option<Subnet>, ResponseCode> {
    match query.metadata.op_code {
        OpCode::Query => {}
        OpCode::Update => return Err(ResponseCode::Refused),
        _ => return Err(ResponseCode::NotImp),
    }
    match query.edns {
        None => Ok(None),
        Some(edns) if edns.version() > 0 => Err(ResponseCode::BADVERS),
        Some(_) => Subnet::in_message(query.bytes).map_err(|_| ResponseCode::FormErr),
    }
}

impl Answer<'_> {
    /// NOERROR without records.
    fn empty(query: &Query<'_>, nsid: Option<&[u8]>) -> Self {
        let mut metadata = Metadata::response_from_request(query.metadata);
        metadata.checking_disabled = false;
        let edns = query.edns.map(|edns| answer_edns(edns, nsid));
        Self { metadata, answers: Vec::new(), authority: None, edns, scope: 0, routed: None }
    }

    fn refuse(&mut self) {
        self.metadata.response_code = ResponseCode::Refused;
        self.metadata.authoritative = false;
    }

    /// The most bytes of this answer over UDP: what the resolver offers, at least 512, at most [`UDP_BYTES_MAX`].
    #[must_use]
    pub fn udp_bytes_max(&self) -> u16 {
        self.edns.as_ref().map_or(512, Edns::max_payload)
    }

    /// Drops all records and sets TC, so that the resolver asks again over TCP (RFC 2181, section 9).
    pub fn truncate(&mut self) {
        self.answers.clear();
        self.authority = None;
        self.metadata.truncation = true;
    }
}

fn answer_edns(asked: &Edns, nsid: Option<&[u8]>) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(asked.max_payload().clamp(512, UDP_BYTES_MAX));
    edns.set_dnssec_ok(asked.flags().dnssec_ok);
    if let (Some(_), Some(Ok(payload))) = (asked.option(EdnsCode::NSID), nsid.map(NSIDPayload::new)) {
        edns.options_mut().insert(EdnsOption::NSID(payload));
    }
    edns
}
