//! The provider's own zone, and the SOA of negative answers.

use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::{Answer, Query, fully_qualified, nothing};
use crate::table::{Table, names_above};

const REFRESH_SECS: i32 = 7_200;
const RETRY_SECS: i32 = 900;
const EXPIRE_SECS: i32 = 1_209_600;

/// The zone in which clients' names live, as far as it is not in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    apex: Name,
    apex_key: String,
    servers: Vec<Name>,
    hostmaster: Name,
    ttl_secs: u32,
}

/// Why texts do not make a zone.
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

    /// SOA and NS, asked for at the apex.
    pub(super) fn own_records<'t>(&self, table: &Table, query: &Query<'_>) -> Option<Answer<'t>> {
        let record = |data| Record::from_rdata(query.name.clone(), self.ttl_secs, data);
        let answers = match query.qtype {
            RecordType::SOA => vec![record(RData::SOA(self.soa(table, self.ttl_secs)))],
            RecordType::NS => {
                self.servers.iter().map(|server| record(RData::NS(NS(server.clone())))).collect()
            }
            _ => return None,
        };
        Some(Answer { answers, ..nothing() })
    }

    fn soa(&self, table: &Table, minimum_secs: u32) -> SOA {
        let primary = self.servers.first().cloned().unwrap_or_else(Name::root);
        soa_data(table, primary, self.hostmaster.clone(), minimum_secs)
    }
}

/// The SOA for a negative answer: the zone's, else one of the host's parent name. Its TTL and minimum are `ttl_secs`,
/// so that nothing negative outlives a route (RFC 2308, section 5); its serial is the table's revision.
pub(super) fn soa(table: &Table, zone: Option<&Zone>, host: &str, ttl_secs: u32) -> Option<Record> {
    let (owner, data) = match zone {
        Some(zone) => (zone.apex.clone(), zone.soa(table, ttl_secs)),
        None => {
            let owner = fully_qualified(names_above(host).next().unwrap_or("")).ok()?;
            let hostmaster = owner.prepend_label("hostmaster").unwrap_or_else(|_| owner.clone());
            let data = soa_data(table, owner.clone(), hostmaster, ttl_secs);
            (owner, data)
        }
    };
    Some(Record::from_rdata(owner, ttl_secs, RData::SOA(data)))
}

fn soa_data(table: &Table, primary: Name, hostmaster: Name, minimum_secs: u32) -> SOA {
    // Serials wrap (RFC 1982).
    let serial = u32::try_from(table.revision() & u64::from(u32::MAX)).unwrap_or(0);
    SOA::new(primary, hostmaster, serial, REFRESH_SECS, RETRY_SECS, EXPIRE_SECS, minimum_secs)
}

/// A name as the table has it: lower case, no final point. A point within a label becomes a character that no host name
/// has, so that no other name is mistaken for a host.
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
