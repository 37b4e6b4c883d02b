//! Queries and answers in the words of a story.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, Record, RecordType};
use spillway_events::Prefix;
use spillway_routing::answer;
use spillway_routing::table::Table;

use super::story::Ask;

/// The first words of a line of an answer.
const WORDS: [&str; 8] = ["A", "AAAA", "CNAME", "HINFO", "NODATA", "NXDOMAIN", "REFUSED", "scope"];

/// Whether a line tells a part of an answer.
pub(super) fn is_answer(text: &str) -> bool {
    text.split(' ').next().is_some_and(|word| WORDS.contains(&word))
}

/// Reads `NAME TYPE from ADDRESS [for PREFIX]`.
pub(super) fn read_ask(line: usize, text: &str) -> Result<Ask, String> {
    let words: Vec<&str> = text.split(' ').collect();
    let (name, qtype, resolver, subnet) = match words.as_slice() {
        [name, qtype, "from", resolver] => (name, qtype, resolver, None),
        [name, qtype, "from", resolver, "for", subnet] => (name, qtype, resolver, Some(*subnet)),
        _ => {
            return Err(String::from(
                "a query is `ask NAME TYPE from ADDRESS`, with `for PREFIX` for Client Subnet",
            ));
        }
    };
    let mut name = Name::from_ascii(name).map_err(|error| error.to_string())?;
    name.set_fqdn(true);
    Ok(Ask {
        line,
        name,
        qtype: qtype.parse::<RecordType>().map_err(|error| error.to_string())?,
        resolver: resolver.parse().map_err(|_| format!("`{resolver}` is not an address"))?,
        subnet: subnet.map(str::parse::<Prefix>).transpose().map_err(|error| error.to_string())?,
        answer: Vec::new(),
    })
}

/// What a table answers.
pub(super) fn from_table(table: &Table, ask: &Ask) -> Vec<String> {
    let mut message = Message::new(4_711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(ask.name.clone(), ask.qtype));
    if let Some(subnet) = ask.subnet {
        message.set_edns(edns(subnet.address(), subnet.length()));
    }
    let bytes = message.to_vec().unwrap();
    let query = answer::Query {
        metadata: &message.metadata,
        question: message.queries.first(),
        edns: message.edns.as_ref(),
        bytes: &bytes,
        peer: ask.resolver,
    };
    let answered = answer::answer(table, None, None, &query).unwrap();
    let scope = ask.subnet.map(|_| answered.scope);
    lines(answered.metadata.response_code, &answered.answers, scope)
}

fn edns(address: IpAddr, bits: u8) -> Edns {
    let mut edns = Edns::new();
    edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(address, bits, 0)));
    edns
}

/// A query for a real server. The resolver's address is sent as the Client Subnet where the story names no other, since all
/// queries of a test come from this machine.
pub(super) fn message(ask: &Ask) -> Message {
    let mut message = Message::new(4_711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(ask.name.clone(), ask.qtype));
    let (address, bits) = match ask.subnet {
        Some(subnet) => (subnet.address(), subnet.length()),
        None => (ask.resolver, if ask.resolver.is_ipv4() { 32 } else { 128 }),
    };
    message.set_edns(edns(address, bits));
    message
}

/// What a real server answered.
pub(super) fn from_message(reply: &Message, ask: &Ask) -> Vec<String> {
    let option = reply.edns.as_ref().and_then(|edns| edns.option(EdnsCode::Subnet));
    let scope = match option {
        Some(EdnsOption::Subnet(subnet)) if ask.subnet.is_some() => Some(subnet.scope_prefix()),
        _ => None,
    };
    lines(reply.metadata.response_code, &reply.answers, scope)
}

/// A line a record, or one that says why there is none; then the scope, where the query had a subnet.
fn lines(rcode: ResponseCode, records: &[Record], scope: Option<u8>) -> Vec<String> {
    let record = |record: &Record| format!("{} {}", record.record_type(), record.data);
    let mut lines: Vec<String> = records.iter().map(record).collect();
    if lines.is_empty() {
        lines.push(match rcode {
            ResponseCode::NoError => String::from("NODATA"),
            ResponseCode::NXDomain => String::from("NXDOMAIN"),
            ResponseCode::Refused => String::from("REFUSED"),
            other => format!("{other:?}"),
        });
    }
    lines.extend(scope.map(|scope| format!("scope {scope}")));
    lines
}
