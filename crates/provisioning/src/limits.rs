//! Bounds of everything that operators provision; each has its unit last.

use spillway_events::Micros;

/// The longest file of documents.
pub const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most documents in one file, and in one command.
pub const DOCUMENTS_PER_FILE_MAX: u64 = 100_000;
/// The most scalars, lists and mappings in one document.
pub const NODES_PER_DOCUMENT_MAX: usize = 250_000;
/// How deep lists and mappings may nest.
pub const NESTING_LEVELS_MAX: usize = 32;
/// The most mistakes that are listed; how many more there are is said.
pub const MISTAKES_LISTED_MAX: usize = 10_000;

/// The most objects of one kind.
pub const OBJECTS_PER_KIND_MAX: usize = 100_000;
/// The most prefixes of one access network.
pub const PREFIXES_PER_NETWORK_MAX: usize = 100_000;
/// The longest way from an access network up to `everywhere`, both counted.
pub const NETWORK_TREE_LEVELS_MAX: usize = 16;
/// The most objectives of one site.
pub const OBJECTIVES_PER_SITE_MAX: usize = 64;
/// The most CDNs of one site.
pub const CDNS_PER_SITE_MAX: usize = 64;
/// The most host names of one site.
pub const HOSTS_PER_SITE_MAX: usize = 256;
/// The most addresses of one origin or CDN.
pub const ADDRESSES_PER_TARGET_MAX: usize = 128;

/// The longest time that an answer may be kept: a day.
pub const TTL_SECS_MAX: u32 = 86_400;
/// The shortest interval of probing.
pub const PROBE_INTERVAL_MS_MIN: u32 = 100;
/// The longest interval of probing: an hour.
pub const PROBE_INTERVAL_MS_MAX: u32 = 3_600_000;
/// The longest window of an objective: seven days.
pub const WINDOW_US_MAX: Micros = Micros(7 * 86_400_000_000);
/// The greatest number of samples or probes that an objective may ask for.
pub const EVIDENCE_COUNT_MAX: u32 = 1_000_000;

/// The longest URL.
pub const URL_BYTES_MAX: usize = 2_048;
/// The longest host name (RFC 1035, section 2.3.4, without the final point).
pub const HOST_BYTES_MAX: usize = 253;
/// The longest label of a host name (RFC 1035, section 2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// The longest command id or author.
pub const COMMAND_TEXT_BYTES_MAX: usize = 255;
/// The most gaps in the log that may be given up.
pub const GAPS_MAX: usize = 10_000;
/// How many of the last commands are remembered, to recognize a retry.
pub const COMMANDS_REMEMBERED_MAX: usize = 10_000;

const _: () = assert!(NODES_PER_DOCUMENT_MAX > 2 * PREFIXES_PER_NETWORK_MAX);
const _: () = assert!(PROBE_INTERVAL_MS_MIN < PROBE_INTERVAL_MS_MAX);
