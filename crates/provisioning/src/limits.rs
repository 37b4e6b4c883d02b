//! Bounds of everything that operators provision. The unit stands last in each name.

use spillway_events::{CHUNK_BYTES_MAX, LISTED_PROBES_MAX, Micros, NAME_BYTES_MAX, RECORD_BYTES_MAX};

/// The longest file of documents.
pub const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most bytes in all files of one command.
pub const FILES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most objects in one command, and so the most documents in its files.
pub const OBJECTS_PER_COMMAND_MAX: usize = 100_000;
/// The most scalars, lists and mappings in one document.
pub const NODES_PER_DOCUMENT_MAX: usize = 250_000;
/// The deepest nesting of lists and mappings.
pub const NESTING_LEVELS_MAX: usize = 32;
/// The most mistakes that are listed. A last line counts the others.
pub const MISTAKES_LISTED_MAX: usize = 10_000;
/// The most users of an object that a refused deletion lists.
pub const USERS_LISTED_MAX: usize = 20;

/// The most objects of one kind.
pub const OBJECTS_PER_KIND_MAX: usize = 100_000;
/// The most prefixes of one access network.
pub const PREFIXES_PER_NETWORK_MAX: usize = 10_000;
/// The most networks on the path from an access network up to `everywhere`, both included.
pub const NETWORK_TREE_LEVELS_MAX: usize = 16;
/// The most objectives of one site.
pub const OBJECTIVES_PER_SITE_MAX: usize = 64;
/// The most CDNs of one site.
pub const CDNS_PER_SITE_MAX: usize = 32;
/// The most host names of one site.
pub const HOSTS_PER_SITE_MAX: usize = 256;
/// The most addresses of one origin or CDN.
pub const ADDRESSES_PER_TARGET_MAX: usize = 64;

/// The most sites of one agreement.
pub const SITES_PER_AGREEMENT_MAX: usize = 1_000;
/// The most access networks for which one agreement has CDNs of their own.
pub const NETWORKS_PER_AGREEMENT_MAX: usize = 100;
/// The most versions of one agreement, and so the greatest number of one.
pub const VERSIONS_PER_AGREEMENT_MAX: u32 = 1_000;
/// The most versions of agreements of one client, drafts and closed ones included.
pub const AGREEMENTS_PER_CLIENT_MAX: usize = 5_000;
const DAY_US: u64 = 86_400_000_000;
/// The longest dwell of an agreement: a day.
pub const DWELL_US_MAX: u64 = DAY_US;
/// The longest time for which a route is held without evidence before the agreed choice: a week.
pub const HOLD_US_MAX: u64 = 7 * DAY_US;
/// The longest notice of an agreement: a year.
pub const NOTICE_US_MAX: u64 = 366 * DAY_US;
/// The most times that one version can be suspended.
pub const SUSPENSIONS_MAX: usize = 100;
/// The most steps of credits of one agreement.
pub const CREDIT_STEPS_MAX: usize = 20;
/// The most times of planned works of one version.
pub const MAINTENANCE_WINDOWS_MAX: usize = 1_000;
/// The most taxes of one agreement.
pub const TAXES_MAX: usize = 20;
/// The last version that a rate card can have.
pub const RATE_CARD_VERSIONS_MAX: u32 = 100_000;
/// The most items of one rate card.
pub const RATE_ITEMS_PER_CARD_MAX: usize = 64;
/// The most commitments of one rate card.
pub const RATE_COMMITMENTS_PER_CARD_MAX: usize = 16;
/// The most tiers of an item of a rate card.
pub const TIERS_PER_RATE_ITEM_MAX: usize = 32;
/// The most sites that an item of a rate card names.
pub const SITES_PER_RATE_ITEM_MAX: usize = 32;
/// The most targets that an item of a rate card names.
pub const TARGETS_PER_RATE_ITEM_MAX: usize = 32;

/// The greatest time to live of a DNS answer: a day.
pub const TTL_SECS_MAX: u32 = 86_400;
/// The shortest interval of probing.
pub const PROBE_INTERVAL_MS_MIN: u32 = 100;
/// The longest interval of probing: an hour.
pub const PROBE_INTERVAL_MS_MAX: u32 = 3_600_000;
/// The longest window of an objective: six hours.
pub const WINDOW_US_MAX: Micros = Micros(6 * 3_600_000_000);
/// The greatest number of samples or probes that an objective can require.
pub const EVIDENCE_COUNT_MAX: u32 = 1_000_000;

/// The longest title.
pub const TITLE_BYTES_MAX: usize = 200;
/// The longest URL.
pub const URL_BYTES_MAX: usize = 2_048;
/// The longest host name, without the trailing dot (RFC 1035, section 2.3.4).
pub const HOST_BYTES_MAX: usize = 253;
/// The longest label of a host name (RFC 1035, section 2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// The longest command id, author or reason.
pub const COMMAND_TEXT_BYTES_MAX: usize = 255;
/// The most tokens there can ever have been, revoked ones included. Operators may create more.
pub const TOKENS_MAX: usize = 100_000;
/// The most tokens that one client, CDN or agent can ever have had.
pub const TOKENS_PER_SUBJECT_MAX: usize = 1_000;
/// The most gaps in the log that can be accepted.
pub const GAPS_MAX: usize = 10_000;

/// What Avro adds to a text or a list of moderate length, and the most bytes of a number: a varint of 64 bits, rounded up.
const VARINT_BYTES_MAX: usize = 10;
/// The longest text of an address or a prefix, such as `ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128`.
const ADDRESS_TEXT_BYTES_MAX: usize = 43;

/// The most bytes of an encoded text of at most `bytes` bytes. A length below 8,192 takes at most 2 bytes.
const fn text_bytes_max(bytes: usize) -> usize {
    assert!(bytes < 8_192);
    bytes + 2
}

/// The most bytes of an encoded list.
const fn list_bytes_max(items_max: usize, item_bytes_max: usize) -> usize {
    items_max * item_bytes_max + 2 * VARINT_BYTES_MAX
}

const ADDRESSES_BYTES_MAX: usize =
    list_bytes_max(ADDRESSES_PER_TARGET_MAX, text_bytes_max(ADDRESS_TEXT_BYTES_MAX));
const HOSTS_BYTES_MAX: usize = list_bytes_max(HOSTS_PER_SITE_MAX, text_bytes_max(HOST_BYTES_MAX));
/// The index of an event in its union, a name and a title.
const OBJECT_HEAD_BYTES_MAX: usize =
    VARINT_BYTES_MAX + text_bytes_max(NAME_BYTES_MAX) + 1 + text_bytes_max(TITLE_BYTES_MAX);

/// The most bytes of an encoded access network, as an event and as an entry of the routing table.
pub const NETWORK_BYTES_MAX: usize = OBJECT_HEAD_BYTES_MAX
    + text_bytes_max(NAME_BYTES_MAX)
    + list_bytes_max(PREFIXES_PER_NETWORK_MAX, text_bytes_max(ADDRESS_TEXT_BYTES_MAX) - 1);
/// The most bytes of an encoded CDN.
pub const CDN_BYTES_MAX: usize = OBJECT_HEAD_BYTES_MAX
    + VARINT_BYTES_MAX
    + text_bytes_max(HOST_BYTES_MAX)
    + ADDRESSES_BYTES_MAX
    + 1
    + text_bytes_max(URL_BYTES_MAX);
const OBJECTIVE_BYTES_MAX: usize = 6 * VARINT_BYTES_MAX;
const ORIGIN_BYTES_MAX: usize =
    text_bytes_max(NAME_BYTES_MAX) + ADDRESSES_BYTES_MAX + 1 + text_bytes_max(URL_BYTES_MAX);
/// The most bytes of an encoded site.
pub const SITE_BYTES_MAX: usize = OBJECT_HEAD_BYTES_MAX
    + text_bytes_max(NAME_BYTES_MAX)
    + HOSTS_BYTES_MAX
    + ORIGIN_BYTES_MAX
    + list_bytes_max(CDNS_PER_SITE_MAX, text_bytes_max(NAME_BYTES_MAX) + 1 + text_bytes_max(HOST_BYTES_MAX))
    + 2 * VARINT_BYTES_MAX
    + list_bytes_max(OBJECTIVES_PER_SITE_MAX, OBJECTIVE_BYTES_MAX);
const CDN_LIST_BYTES_MAX: usize = list_bytes_max(CDNS_PER_SITE_MAX, text_bytes_max(NAME_BYTES_MAX));
/// The most bytes of an encoded version of an agreement: names, a digest, a reason, sixteen numbers and choices, and the lists.
pub const AGREEMENT_BYTES_MAX: usize = OBJECT_HEAD_BYTES_MAX
    + 5 * text_bytes_max(NAME_BYTES_MAX)
    + text_bytes_max(64)
    + text_bytes_max(COMMAND_TEXT_BYTES_MAX)
    + 30 * VARINT_BYTES_MAX
    + list_bytes_max(SITES_PER_AGREEMENT_MAX, text_bytes_max(NAME_BYTES_MAX))
    + list_bytes_max(OBJECTIVES_PER_SITE_MAX, OBJECTIVE_BYTES_MAX)
    + CDN_LIST_BYTES_MAX
    + list_bytes_max(NETWORKS_PER_AGREEMENT_MAX, text_bytes_max(NAME_BYTES_MAX) + CDN_LIST_BYTES_MAX)
    + list_bytes_max(SUSPENSIONS_MAX, 2 * VARINT_BYTES_MAX + 1)
    + list_bytes_max(CREDIT_STEPS_MAX, 2 * VARINT_BYTES_MAX)
    + list_bytes_max(MAINTENANCE_WINDOWS_MAX, 2 * VARINT_BYTES_MAX)
    + list_bytes_max(RATE_ITEMS_PER_CARD_MAX, text_bytes_max(NAME_BYTES_MAX) + VARINT_BYTES_MAX)
    + list_bytes_max(TAXES_MAX, text_bytes_max(NAME_BYTES_MAX) + VARINT_BYTES_MAX);
/// The most bytes of a site's encoded entry of the routing table, which holds the addresses of its CDNs.
pub const SITE_ENTRY_BYTES_MAX: usize = text_bytes_max(NAME_BYTES_MAX)
    + HOSTS_BYTES_MAX
    + VARINT_BYTES_MAX
    + ADDRESSES_BYTES_MAX
    + list_bytes_max(
        CDNS_PER_SITE_MAX,
        text_bytes_max(NAME_BYTES_MAX) + text_bytes_max(HOST_BYTES_MAX) + ADDRESSES_BYTES_MAX,
    );

/// The text of a price or an amount: 12 digits, the point, 12 places.
const DECIMAL_BYTES_MAX: usize = text_bytes_max(25);
/// Beside the lists: two names, two enumerations, the index of the prices in their union, three tags of what may be absent, four
/// prices or amounts, five numbers and a flag.
const RATE_ITEM_BYTES_MAX: usize = 2 * text_bytes_max(NAME_BYTES_MAX)
    + 2
    + 1
    + 4
    + 4 * DECIMAL_BYTES_MAX
    + 5 * VARINT_BYTES_MAX
    + 1
    + list_bytes_max(SITES_PER_RATE_ITEM_MAX, text_bytes_max(NAME_BYTES_MAX))
    + list_bytes_max(TARGETS_PER_RATE_ITEM_MAX, text_bytes_max(NAME_BYTES_MAX))
    + list_bytes_max(TIERS_PER_RATE_ITEM_MAX, VARINT_BYTES_MAX + DECIMAL_BYTES_MAX);
const RATE_COMMITMENT_BYTES_MAX: usize = 2 * text_bytes_max(NAME_BYTES_MAX)
    + DECIMAL_BYTES_MAX
    + list_bytes_max(RATE_ITEMS_PER_CARD_MAX, text_bytes_max(NAME_BYTES_MAX));
/// The most bytes of an encoded rate card.
pub const RATE_CARD_BYTES_MAX: usize = OBJECT_HEAD_BYTES_MAX
    + VARINT_BYTES_MAX
    + list_bytes_max(RATE_ITEMS_PER_CARD_MAX, RATE_ITEM_BYTES_MAX)
    + list_bytes_max(RATE_COMMITMENTS_PER_CARD_MAX, RATE_COMMITMENT_BYTES_MAX);

/// Two names, a value that may be absent, and a count.
const PROBE_VALUE_BYTES_MAX: usize = 2 * text_bytes_max(NAME_BYTES_MAX) + 1 + 2 * VARINT_BYTES_MAX;
/// Five enumerations, flags and tags of what may be absent, six numbers and a name, beside the list of probes.
const OBJECTIVE_EVIDENCE_BYTES_MAX: usize = 5
    + 6 * VARINT_BYTES_MAX
    + text_bytes_max(NAME_BYTES_MAX)
    + list_bytes_max(LISTED_PROBES_MAX, PROBE_VALUE_BYTES_MAX);
/// A name, a verdict, a number and a reason, of which two may be absent.
const CANDIDATE_BYTES_MAX: usize = text_bytes_max(NAME_BYTES_MAX) + 1 + 1 + VARINT_BYTES_MAX + 2;
/// The most bytes of an encoded decision: site, network and CDN, three numbers, a verdict and a reason.
pub const DECISION_BYTES_MAX: usize = 3 * text_bytes_max(NAME_BYTES_MAX)
    + 3 * VARINT_BYTES_MAX
    + 4
    + list_bytes_max(OBJECTIVES_PER_SITE_MAX, OBJECTIVE_EVIDENCE_BYTES_MAX)
    + list_bytes_max(CDNS_PER_SITE_MAX, CANDIDATE_BYTES_MAX);

// One object, and one entry of the routing table, fits into one chunk of a frame.
const _: () = assert!(NETWORK_BYTES_MAX <= CHUNK_BYTES_MAX);
const _: () = assert!(CDN_BYTES_MAX <= CHUNK_BYTES_MAX);
const _: () = assert!(SITE_BYTES_MAX <= CHUNK_BYTES_MAX);
const _: () = assert!(AGREEMENT_BYTES_MAX <= CHUNK_BYTES_MAX);
const _: () = assert!(RATE_CARD_BYTES_MAX <= CHUNK_BYTES_MAX);
const _: () = assert!(SITE_ENTRY_BYTES_MAX <= CHUNK_BYTES_MAX);
// So does one decision.
const _: () = assert!(DECISION_BYTES_MAX <= CHUNK_BYTES_MAX);
const _: () = assert!(CHUNK_BYTES_MAX <= RECORD_BYTES_MAX);
// A file that a command takes whole has a chance to fit into its record, and every list that is allowed can be written.
const _: () = assert!(FILE_BYTES_MAX <= RECORD_BYTES_MAX);
const _: () = assert!(FILE_BYTES_MAX <= FILES_BYTES_MAX);
const _: () = assert!(NODES_PER_DOCUMENT_MAX > 2 * PREFIXES_PER_NETWORK_MAX);
const _: () = assert!(OBJECTS_PER_COMMAND_MAX <= OBJECTS_PER_KIND_MAX);
const _: () = assert!(PROBE_INTERVAL_MS_MIN < PROBE_INTERVAL_MS_MAX);
