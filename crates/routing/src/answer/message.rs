//! From a whole query message to a whole reply: the rules around [`answer`].

use std::net::IpAddr;

use hickory_proto::op::{self, Edns, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption, NSIDPayload};
use hickory_proto::rr::{DNSClass, Record};

use super::{Query, Routed, Subnet, Zone, answer};
use crate::table::Table;

/// The most bytes of a UDP message, whatever the resolver offers (DNS flag day 2020).
pub const UDP_BYTES_MAX: u16 = 1_232;

/// A decoded query message.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'m> {
    /// Its header.
    pub metadata: &'m Metadata,
    /// Its question, if it has exactly one.
    pub question: Option<&'m op::Query>,
    /// Its EDNS record (RFC 6891).
    pub edns: Option<&'m Edns>,
    /// The bytes it was decoded from.
    pub bytes: &'m [u8],
    /// Who sent it.
    pub peer: IpAddr,
}

/// A reply, all but the question, which is echoed.
#[derive(Debug, Clone)]
pub struct Reply<'t> {
    /// The header.
    pub metadata: Metadata,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authority: Option<Record>,
    /// EDNS, if the query had it. Its payload size is what a UDP reply must fit in.
    pub edns: Option<Edns>,
    /// What to count the answer under, if it is for a site.
    pub routed: Option<Routed<'t>>,
}

impl Reply<'_> {
    /// The most bytes of this reply over UDP: what the resolver offers, at least 512, at most [`UDP_BYTES_MAX`].
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

/// Replies to a message; never to a response.
///
/// NOTIMP for opcodes other than QUERY, but UPDATE is refused; FORMERR unless there is one question (RFC 9619) and for
/// a malformed Client Subnet; BADVERS for EDNS versions above 0 (RFC 6891, section 6.1.3); REFUSED for classes other
/// than IN. `nsid` is told to whoever asks for it (RFC 5001).
#[must_use]
pub fn reply<'t>(
    table: &'t Table,
    zone: Option<&Zone>,
    nsid: Option<&[u8]>,
    asked: Asked<'_>,
) -> Option<Reply<'t>> {
    if asked.metadata.message_type == MessageType::Response {
        return None;
    }
    let mut metadata = Metadata::response_from_request(asked.metadata);
    metadata.checking_disabled = false;
    let edns = asked.edns.map(|edns| reply_edns(edns, nsid));
    let mut reply = Reply { metadata, answers: Vec::new(), authority: None, edns, routed: None };
    let (query, subnet) = match check(&asked) {
        Ok(checked) => checked,
        Err(rcode) => {
            reply.metadata.response_code = rcode;
            return Some(reply);
        }
    };
    let asked_for = Query { name: query.name(), qtype: query.query_type(), subnet };
    let answer = answer(table, zone, &asked_for, asked.peer);
    if let (Some(edns), Some(subnet)) = (&mut reply.edns, subnet) {
        let option = ClientSubnet::new(subnet.address, subnet.source_bits, answer.scope);
        edns.options_mut().insert(EdnsOption::Subnet(option));
    }
    reply.metadata.response_code = answer.rcode;
    reply.metadata.authoritative = answer.authoritative;
    reply.answers = answer.answers;
    reply.authority = answer.authority;
    reply.routed = answer.routed;
    Some(reply)
}

fn check<'m>(asked: &Asked<'m>) -> Result<(&'m op::Query, Option<Subnet>), ResponseCode> {
    match asked.metadata.op_code {
        OpCode::Query => {}
        OpCode::Update => return Err(ResponseCode::Refused),
        _ => return Err(ResponseCode::NotImp),
    }
    if asked.edns.is_some_and(|edns| edns.version() > 0) {
        return Err(ResponseCode::BADVERS);
    }
    let query = asked.question.ok_or(ResponseCode::FormErr)?;
    let subnet = match asked.edns {
        Some(_) => Subnet::in_message(asked.bytes).map_err(|_| ResponseCode::FormErr)?,
        None => None,
    };
    if query.query_class() != DNSClass::IN {
        return Err(ResponseCode::Refused);
    }
    Ok((query, subnet))
}

fn reply_edns(asked: &Edns, nsid: Option<&[u8]>) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(asked.max_payload().clamp(512, UDP_BYTES_MAX));
    edns.set_dnssec_ok(asked.flags().dnssec_ok);
    if let (Some(_), Some(Ok(payload))) = (asked.option(EdnsCode::NSID), nsid.map(NSIDPayload::new)) {
        edns.options_mut().insert(EdnsOption::NSID(payload));
    }
    edns
}
