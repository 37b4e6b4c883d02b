//! Agreements: what provider and client agree on for sites, in versions that one of them proposes and the other accepts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    AgreementName, CdnName, ClientName, LineName, Micros, NetworkName, Objective, RateCardName, Sha256,
    SiteName, TaxCode, TimeMicros,
};

/// One version of an agreement, as it is from now on. Its terms never change once it is proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// The agreement's name.
    pub name: AgreementName,
    /// The version, from 1 without gaps.
    pub version: u32,
    /// The client that the provider agrees with.
    pub client: ClientName,
    /// What is agreed.
    pub terms: Terms,
    /// SHA-256 of the document of name, client and terms as canonical JSON (RFC 8785). An acceptance names it.
    pub terms_sha256: Sha256,
    /// Who proposes it.
    pub proposed_by: Party,
    /// How far it has come.
    pub stage: Stage,
    /// Why it was countered, rejected, withdrawn, suspended or ended.
    pub reason: Option<String>,
    /// The end that a later version or a party has set; none while only the terms end it.
    pub end: Option<AgreementEnd>,
    /// The times in which it is suspended, in order.
    pub suspensions: Vec<Suspension>,
}

/// A party of an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The provider, for whom operators act.
    Provider,
    /// The client, for whom its admins act.
    Client,
}

/// How far a version of an agreement has come by the moves of its parties. What else it is (lapsed, scheduled, active,
/// suspended, superseded, terminated, expired) depends on the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its author still writes it.
    Draft,
    /// Its author no longer writes it, and never proposed it.
    Discarded,
    /// The other party is to answer.
    Proposed,
    /// The other party proposed a later version instead.
    Countered,
    /// The other party does not want it.
    Rejected,
    /// The party that proposed it no longer wants it.
    Withdrawn,
    /// Both parties want it.
    Accepted,
}

/// From when on a version is no longer in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct AgreementEnd {
    /// The end, not before the beginning. If it is the beginning, the version is never in force.
    pub at_us: TimeMicros,
    /// What ends it.
    pub by: EndedBy,
}

/// What ends a version of an agreement before its terms do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// A later version.
    LaterVersion,
    /// A party.
    Termination,
}

/// A time in which a version is not in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// Its beginning.
    pub from_us: TimeMicros,
    /// Its end; none until somebody sets it.
    pub until_us: Option<TimeMicros>,
}

/// What is agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The sites that it covers.
    pub sites: Vec<SiteName>,
    /// From when on: a multiple of 300 s.
    pub effective_from_us: TimeMicros,
    /// Until when, exclusive: a multiple of 300 s; none if no end is agreed.
    pub until_us: Option<TimeMicros>,
    /// How long before the end a party must say that it ends the agreement.
    pub notice_us: Micros,
    /// The agreed performance level. Without one, nothing is judged and routes are the origin.
    pub objectives: Vec<Objective>,
    /// The CDNs that may be used, in order of preference; empty for all of a site's, in its order.
    pub cdns: Vec<CdnName>,
    /// The CDNs that may be used in some access networks and those below them; their order is that of `cdns` all the same.
    pub cdns_in: Vec<CdnsIn>,
    /// How far below the threshold, in permille of it, the origin's value must be for traffic to return; 0 for not at all.
    pub return_band_permille: u32,
    /// How long traffic stays on a CDN after it left the origin; 0 for no time.
    pub dwell_us: Micros,
    /// What is done after a time without evidence; nothing without it: the last route is held for ever.
    pub on_silence: Option<OnSilence>,
    /// The level of service that the provider is liable for.
    pub service_level: Option<ServiceLevelTerms>,
    /// How it is paid for.
    pub billing: Option<BillingTerms>,
}

/// The CDNs that may be used in an access network, and in those below it that have no list of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct CdnsIn {
    /// The network.
    pub network: NetworkName,
    /// The CDNs; none if traffic stays on the origin there.
    pub cdns: Vec<CdnName>,
}

/// What is done after a time without evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct OnSilence {
    /// The time for which the last route is held.
    pub hold_us: Micros,
    /// Where traffic goes then.
    pub then: SilentRoute,
}

/// Where traffic goes after a time without evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum SilentRoute {
    /// To the origin.
    Origin,
    /// To a CDN, chosen as if the origin were at or above its threshold.
    Cdn,
}

/// The level of service that the provider is liable for: how many of the minutes that were judged are met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct ServiceLevelTerms {
    /// The credits for falling below a level, by falling bounds.
    pub steps: Vec<CreditStep>,
    /// The least share of judged minutes, in ppm, for which there is a credit.
    pub coverage_min_ppm: u32,
    /// The most credit of a site and period, in ppm of what it is taken from.
    pub cap_ppm: Option<u32>,
    /// The most credit of a site and period, in minor units of the currency.
    pub cap_minor: Option<u32>,
    /// Whether minutes count in which the route was pinned or the target drained.
    pub counts_overridden: bool,
    /// The planned works, whose minutes do not count.
    pub maintenance: Vec<MaintenanceWindow>,
    /// The shares of lines that name no site which credits are taken from too.
    pub shares: Vec<CreditShare>,
}

/// A credit for falling below a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct CreditStep {
    /// It applies to an attainment below this, in ppm.
    pub below_ppm: u32,
    /// The credit in hundredths of a percent.
    pub credit_basis_points: u32,
}

/// A time of planned works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct MaintenanceWindow {
    /// Its beginning.
    pub from_us: TimeMicros,
    /// Its end, exclusive.
    pub to_us: TimeMicros,
}

/// The share of an item's lines, as far as they name no site, that a site's credit is taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct CreditShare {
    /// The item of the rate card.
    pub item: LineName,
    /// The share in ppm.
    pub ppm: u32,
}

/// How an agreement is paid for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct BillingTerms {
    /// The rate card.
    pub rate_card: RateCardName,
    /// The version of the rate card.
    pub rate_card_version: u32,
    /// The currency's code (ISO 4217).
    pub currency: String,
    /// How many digits its minor unit has.
    pub currency_exponent: u32,
    /// The time zone of the billing periods, which are its calendar months.
    pub zone: String,
    /// The day of the next month on which a period is sealed.
    pub seal_day: u32,
    /// What a slot without a report counts as.
    pub missing: MissingSlots,
    /// The taxes by their codes.
    pub taxes: Vec<Tax>,
}

/// What a slot without a report counts as where a percentile of all slots is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum MissingSlots {
    /// As 0.
    Zero,
    /// Not at all.
    Excluded,
}

/// A tax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Tax {
    /// The code by which rate cards name it.
    pub code: TaxCode,
    /// Its rate.
    pub rate_ppm: u32,
}

impl Party {
    /// The party that answers a proposal of this one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Provider => Self::Client,
            Self::Client => Self::Provider,
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provider => "provider",
            Self::Client => "client",
        })
    }
}
