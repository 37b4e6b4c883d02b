//! Billing: what is counted for whom, what it costs, and how it is proved.
//!
//! ```text
//! statistics, usage ─ counters ─┐
//! measurements, decisions ──────┴─ slots ─▶ increments ─┐ chain    rate cards, terms
//! decisions ───────────────────── judge ─▶ minutes ─────┴──────────────┬──────┘
//!                                                                      ▼
//!                                 log, up to a cut ─────────────▶ rate ─▶ lines ─▶ statement ─▶ digest, corrections
//! ```
//!
//! Everything is a pure function of its arguments: no clock, no file, no task, and no floating point. All arithmetic is checked: what
//! does not fit is an error that names the client. Times are whole milliseconds since 1970.
//!
//! # Numbers
//!
//! Quantities are whole numbers in the meter's unit. Money is whole numbers of the currency's minor unit; a currency has
//! *e* decimal places (JPY 0, USD 2, KWD 3). A price is a decimal number of at most 12 places of the major unit; below, *price* is that in
//! units of 10⁻¹². *Rounded* is to the nearest whole number, halves away from zero. A line is rounded once:
//!
//! ```text
//! amount = round(quantity × price × 10^e ÷ (unit size × 10^12))
//! ```
//!
//! A total is the sum of its lines. The products are of 256 bits ([`Wide`]), so that no price and quantity that a card and a slot can have
//! are refused for their product alone.
//!
//! # Counting
//!
//! [`counters`] makes quantities of slots from the totals that statistics and usage report, [`time_meters`] from routes, host names and
//! measurements, [`slots`] emits them. Each module has its rules. The meters, version 1:
//!
//! | meter | unit | quantity in a slot |
//! |---|---|---|
//! | `bytes`, `requests` | byte, count | from statistics: those of operated CDNs and origins are detailed, of partner CDNs aggregate |
//! | `probe_bytes`, `probe_requests` | byte, count | of accepted measurements, by their event time |
//! | `dns_answers`, `redirects` | count | from the counters of edge nodes, over all networks |
//! | `routed_time` | ms | how long the site's route at the root network was to the target |
//! | `active_hosts` | host·ms | the number of the site's host names times how long; has no target |
//! | `egress_p95` | bit/s | computed when rating, from the `bytes` of a client at a target |
//!
//! # Rating
//!
//! [`rate`] takes one [`Part`] of a period: the time in which one version of the agreement is in force. What was counted in slots that
//! begin in the part counts. For each item of the rate card, in this order:
//!
//! 1. *Quantity.* The increments of the item's meter, of the sites and targets that it covers, are summed over the dimensions that it does
//!    not keep: one group for each value of those that it keeps. A group without an increment does not exist. What probes caused of it
//!    is deducted, if the card says so, but not below 0: a line of kind `probe` says how much, also if it is 0. Then the free quantity
//!    is, not below 0.
//! 2. *Lines by model.* `flat`: quantity 1, price × ms active ÷ ms of the period; active is the part, or, where the item keeps the site,
//!    the time in the part in which the site exists. `unit`: the quantity. `graduated`: a line for each tier, of what lies in it; tiers
//!    are half open. `volume`: one line at the price of the tier that holds the whole quantity. `package`: ⌈quantity ÷ size⌉ packages.
//!    `p95`: a line of the commitment, and one of what exceeds it. Its quantity is the [percentile](Percentile) of the target, of an item
//!    that does not keep the target the sum over the targets that it covers. A target that the item names has a group without traffic
//!    too, and so has the single group of an item that keeps nothing: a commitment is paid in any case.
//! 3. *Totals of the item.* A discount of −round(sum × ppm ÷ 10⁶); then a line of what is missing to the minimum; then one, less than 0,
//!    of what is beyond the maximum.
//!
//! Then, for the card:
//!
//! 4. *Commitments.* A line of what the lines of steps 1 to 3 of a commitment's items lack, if they lack something.
//! 5. *Credits*, below.
//! 6. *Tax.* For each tax code, at its rate in the last millisecond of the period, one line of round(sum × ppm ÷ 10⁶). Each line has a
//!    share of it: ⌊amount × ppm ÷ 10⁶⌋, toward −∞; the units left go one each to the greatest fractions, of equal ones to the lower line id.
//!
//! Lines of quantity 0 and amount 0 do not exist, except those of kind `flat`, `commitment` and `probe`. Lines that are of no quantity
//! (discounts, minimums, maximums, true-ups, credits, taxes) have the quantity 0.
//!
//! *Parts.* Nothing is shared between the parts of a period. Free quantities and the bounds of tiers, rounded down, and minimums,
//! maximums, commitments and caps, rounded, are multiplied by ms of the part ÷ ms of the period. Flat and `p95` amounts take that
//! factor before their one rounding. The size of a package, a unit of size `period` and the commitment of `p95` in bit/s stay what they are.
//!
//! *Line ids* are the first 16 bytes of the SHA-256 of: agreement, version, item (of a true-up the commitment; `credit`; `tax`), site,
//! target, kind, tier (its lower bound as the card has it; of a credit the tax code; of a tax `CODE/PPM`), begin and end of the whole period
//! in ms; each as UTF-8 or decimal text, empty where there is none, each followed by a zero byte.
//!
//! Each line comes with its [`Derivation`], in which its amount is computed and nowhere else.
//!
//! # Service level
//!
//! [`Judge`] judges each minute once, by the rules in its documentation. The attainment of a site in a part is ⌊10⁶ × met ÷ (met + missed)⌋ ppm,
//! its coverage ⌊10⁶ × (met + missed) ÷ (met + missed + unknown)⌋ ppm, over all networks. Where nothing is known, nothing is measured,
//! and there is no credit; nor is there below the agreed coverage.
//!
//! Of the steps whose bound is above the attainment, the one with the least bound says how much is credited: round(base × basis points
//! ÷ 10⁴), at most the cap. The base is the sum of the lines of steps 1 to 4 that name the site, and an agreed share of those that name
//! none; if it is not above 0 there is no credit. The credit is split over the tax codes of the base by largest remainder (⌊credit × base of
//! the code ÷ base⌋; what is left as with taxes): a line for each, less than 0, taxed at its code.
//!
//! # Statements
//!
//! [`statement`] has the digest of lines, the corrections of earlier periods and the check of a command to seal; [`chain`] the chain of a
//! client's records.
#![warn(missing_docs)]

pub mod chain;
pub mod counters;
mod derivation;
mod line;
mod percentile;
mod period;
mod rating;
mod service_level;
pub mod slots;
pub mod statement;
mod terms;
pub mod time_meters;
mod usage;
mod wide;

pub use derivation::{Charge, CreditShare, Derivation, Factor, FillUp, Metered, Share, Tier};
pub use line::{LineHead, RatedLine};
pub use percentile::Percentile;
pub use period::{MINUTE_MS, SLOT_MS, Span, slot_of};
pub use rating::{Part, RatingError, rate};
pub use service_level::Minutes;
pub use service_level::judge::{Judge, Observed, Outcome};
pub use terms::{
    CURRENCY_EXPONENT_MAX, CountedMinutes, CreditCap, CreditStep, CreditTerms, MissingSlots, TaxRate, Terms,
    TermsError,
};
pub use usage::{Counted, Usage};
pub use wide::{Division, TooGreat, Wide};

#[cfg(test)]
mod tests;
