//! Bytes in, bytes out: hickory-server's codec around the pure answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hickory_proto::op::{Edns, Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder};
use hickory_server::net::NetError;
use hickory_server::net::runtime::{Time, TokioTime};
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponse, MessageResponseBuilder};
use spillway_routing::answer::{Asked, Reply, Zone, reply};

use crate::follower::SharedTable;

/// Answers decoded requests from the present table.
#[derive(Debug)]
pub struct Handler {
    table: SharedTable,
    zone: Option<Zone>,
    nsid: Option<Vec<u8>>,
}

impl Handler {
    /// A handler over a table that may change under it.
    #[must_use]
    pub fn new(table: SharedTable, zone: Option<Zone>, nsid: Option<String>) -> Self {
        Self { table, zone, nsid: nsid.map(String::into_bytes) }
    }

    /// The reply to a message as it came from the network, if it gets one: FORMERR if it cannot be decoded, nothing if
    /// it is a response or shorter than a header.
    pub async fn respond(&self, message: &[u8], peer: SocketAddr, protocol: Protocol) -> Option<Vec<u8>> {
        let header = Header::read(&mut BinDecoder::new(message)).ok()?;
        if header.message_type == MessageType::Response {
            return None;
        }
        let Ok(request) = Request::from_bytes(message.to_vec(), peer, protocol) else {
            return header_only(&header.metadata);
        };
        let captured = Capture { protocol, bytes: Arc::default() };
        self.handle_request::<_, TokioTime>(&request, captured.clone()).await;
        let bytes = std::mem::take(&mut *captured.bytes.lock().unwrap_or_else(PoisonError::into_inner));
        (!bytes.is_empty()).then_some(bytes)
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let Some(table) = self.table.load_full() else {
            // Not reachable from `Dns`, which does not bind without a table; and tables never go away.
            return no_response(request);
        };
        let question = match request.queries.queries() {
            [question] => Some(question.original()),
            _ => None,
        };
        let asked = Asked {
            metadata: &request.metadata,
            question,
            edns: request.edns.as_ref(),
            bytes: request.as_slice(),
            peer: request.src().ip(),
        };
        let Some(mut reply) = reply(&table, self.zone.as_ref(), self.nsid.as_deref(), asked) else {
            return no_response(request);
        };
        // The encoder cuts a message short by dropping its last records, and EDNS is the very last.
        if request.protocol() == Protocol::Udp && !fits(request, &reply) {
            reply.truncate();
        }
        match response_handle.send_response(message(request, &reply)).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, "cannot send a DNS reply");
                no_response(request)
            }
        }
    }
}

fn message<'r>(
    request: &'r Request,
    reply: &'r Reply<'_>,
) -> MessageResponse<
    'r,
    'r,
    impl Iterator<Item = &'r Record> + Send + 'r,
    impl Iterator<Item = &'r Record> + Send + 'r,
    impl Iterator<Item = &'r Record> + Send + 'r,
    impl Iterator<Item = &'r Record> + Send + 'r,
> {
    let builder = MessageResponseBuilder::new(&request.queries, reply.edns.as_ref());
    builder.build(reply.metadata, &reply.answers, [], &reply.authority, [])
}

fn fits(request: &Request, reply: &Reply<'_>) -> bool {
    let mut bytes = Vec::with_capacity(512);
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(reply.udp_bytes_max());
    message(request, reply).destructive_emit(&mut encoder).is_ok_and(|info| !info.truncation)
}

/// The reply to what cannot be decoded: FORMERR, or what its opcode gets anyway.
fn header_only(asked: &Metadata) -> Option<Vec<u8>> {
    let mut metadata = Metadata::response_from_request(asked);
    metadata.checking_disabled = false;
    metadata.response_code = match asked.op_code {
        OpCode::Query => ResponseCode::FormErr,
        OpCode::Update => ResponseCode::Refused,
        _ => ResponseCode::NotImp,
    };
    Header { metadata, counts: HeaderCounts::default() }.to_bytes().ok()
}

fn no_response(request: &Request) -> ResponseInfo {
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.response_code = ResponseCode::ServFail;
    Header { metadata, counts: HeaderCounts::default() }.into()
}

/// Takes the reply as bytes instead of sending it.
#[derive(Clone)]
struct Capture {
    protocol: Protocol,
    bytes: Arc<Mutex<Vec<u8>>>,
}

#[async_trait::async_trait]
impl ResponseHandler for Capture {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut bytes = Vec::with_capacity(512);
        let mut encoder = BinEncoder::new(&mut bytes);
        let udp_bytes_max = response.edns().map_or(512, Edns::max_payload);
        encoder.set_max_size(if self.protocol == Protocol::Udp { udp_bytes_max } else { u16::MAX });
        let info = response.destructive_emit(&mut encoder)?;
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        Ok(info)
    }
}
