//! The provider's own zone, and the SOA of negative answers.

use hickory_proto::op;
use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::table::Table;

const REFRESH_SECS: i32 = 7_200;
const RETRY_SECS: i32 = 900;
const EXPIRE_SECS: i32 = 1_209_600;

/// The provider's zone, in which clients' names live: what the table does not hold of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    apex: Name,
    apex_key: String,
    servers: Vec<Name>,
    hostmaster: Name,
    ttl_secs: u32,
}

/// Why a zone cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Not a domain name.
    #[error("`{text}` is not a domain name: {reason}")]
    Name {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A zone needs a name server.
    #[error("the zone {0} has no name servers")]
    NoServers(String),
}

impl Zone {
    /// A zone from its apex, its name servers (the first is the SOA's primary), the mailbox of its hostmaster as a
    /// domain name (RFC 1035, section 8), and the TTL of its own records and negative answers.
    ///
    /// # Errors
    /// When a text is not a domain name, or there is no name server.
    pub fn new(apex: &str, servers: &[String], hostmaster: &str, ttl_secs: u32) -> Result<Self, ZoneError> {
        let name = |text: &str| {
            fully_qualified(text)
                .map_err(|error| ZoneError::Name { text: text.to_owned(), reason: error.to_string() })
        };
        let servers = servers.iter().map(|server| name(server)).collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(ZoneError::NoServers(apex.to_owned()));
        }
        let apex = name(apex)?;
        Ok(Self { apex_key: host_key(&apex), apex, servers, hostmaster: name(hostmaster)?, ttl_secs })
    }

    pub(super) fn ttl_secs(&self) -> u32 {
        self.ttl_secs
    }

    pub(super) fn is_apex(&self, host: &str) -> bool {
        self.apex_key == host
    }

    /// Whether a name is the apex or below it.
    pub(super) fn holds(&self, host: &str) -> bool {
        self.is_apex(host)
            || self.apex_key.is_empty()
            || host.strip_suffix(&self.apex_key).is_some_and(|rest| rest.ends_with('.'))
    }

    /// SOA and NS, if the question asks for them at the apex.
    pub(super) fn own_records(&self, table: &Table, question: &op::Query, host: &str) -> Option<Vec<Record>> {
        if !self.is_apex(host) {
            return None;
        }
        let record = |data| Record::from_rdata(question.name().clone(), self.ttl_secs, data);
        match question.query_type() {
            RecordType::SOA => Some(vec![record(RData::SOA(self.soa(table)))]),
            RecordType::NS => {
                Some(self.servers.iter().map(|server| record(RData::NS(NS(server.clone())))).collect())
            }
            _ => None,
        }
    }

    fn soa(&self, table: &Table) -> SOA {
        let primary = self.servers.first().cloned().unwrap_or_else(Name::root);
        soa_data(table, primary, self.hostmaster.clone(), self.ttl_secs)
    }
}

/// The SOA for a negative answer: the zone's, else one that `owner` owns and whose MINIMUM is `minimum_secs`. The
/// record's TTL is the lesser of MINIMUM and `ttl_secs_max`; a resolver keeps the negative answer for the lesser of TTL
/// and MINIMUM (RFC 2308, section 5). The serial is the table's revision.
pub(super) fn soa(
    (table, zone): (&Table, Option<&Zone>),
    owner: &str,
    minimum_secs: u32,
    ttl_secs_max: u32,
) -> Option<Record> {
    let (owner, data) = match zone {
        Some(zone) => (zone.apex.clone(), zone.soa(table)),
        None => {
            let owner = fully_qualified(owner).ok()?;
            let hostmaster = owner.prepend_label("hostmaster").unwrap_or_else(|_| owner.clone());
            let data = soa_data(table, owner.clone(), hostmaster, minimum_secs);
            (owner, data)
        }
    };
    let ttl_secs = data.minimum.min(ttl_secs_max);
    Some(Record::from_rdata(owner, ttl_secs, RData::SOA(data)))
}

fn soa_data(table: &Table, primary: Name, hostmaster: Name, minimum_secs: u32) -> SOA {
    // Serials wrap (RFC 1982).
    let serial = u32::try_from(table.revision() & u64::from(u32::MAX)).unwrap_or(0);
    SOA::new(primary, hostmaster, serial, REFRESH_SECS, RETRY_SECS, EXPIRE_SECS, minimum_secs)
}

/// A domain name from its text, with or without a trailing dot.
pub(super) fn fully_qualified(text: &str) -> Result<Name, hickory_proto::ProtoError> {
    let mut name = Name::from_ascii(text)?;
    name.set_fqdn(true);
    Ok(name)
}

/// A name in the form of the table's keys: lower case, without a trailing dot. A dot within a label becomes a character
/// that no host name has, so that no other name is mistaken for a host.
pub(super) fn host_key(name: &Name) -> String {
    let mut key = String::with_capacity(name.len());
    for label in name {
        if !key.is_empty() {
            key.push('.');
        }
        for byte in label {
            key.push(if *byte == b'.' {
                char::REPLACEMENT_CHARACTER
            } else {
                char::from(byte.to_ascii_lowercase())
            });
        }
    }
    key
}
