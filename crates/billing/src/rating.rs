//! Rating: what a part of a period costs.
//!
//! ```text
//! usage ─ groups ─ charges ─▶ lines of an item ─ totals ─▶ discount, minimum, maximum
//!                                   └───────── all items ─ totals ─▶ true-ups ─ credits ─▶ credits ─ taxes ─▶ taxes, shares
//! ```

mod charges;
mod credits;
mod groups;
mod taxes;
mod totals;

use std::collections::BTreeMap;

use spillway_events::{ClientName, RateCard, SiteName, TaxCode};

use crate::line::{LineHead, RatedLine};
use crate::period::Span;
use crate::service_level::Minutes;
use crate::terms::Terms;
use crate::usage::Usage;
use crate::wide::TooGreat;

/// A part of a period: the time in which one version of the agreement is in force. It is rated by itself.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Whose lines they are, and of which period.
    pub head: LineHead<'a>,
    /// The rate card.
    pub card: &'a RateCard,
    /// The terms of the version.
    pub terms: &'a Terms,
    /// What was counted in the part, which says when the part is.
    pub usage: &'a Usage,
    /// When each of the client's sites exists.
    pub sites: &'a BTreeMap<SiteName, Vec<Span>>,
    /// How the level was kept at each site, in the minutes of the part's slots.
    pub minutes: &'a BTreeMap<SiteName, Minutes>,
}

/// Why a part cannot be rated. It blocks sealing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RatingError {
    /// A number of a line does not fit.
    #[error("client {client}: {what} is beyond what can be computed")]
    TooGreat {
        /// The client.
        client: ClientName,
        /// What does not fit.
        what: String,
    },
    /// The terms have no rate for a tax code of the card.
    #[error("client {client}: the agreement has no rate of tax for code {code}")]
    NoTaxRate {
        /// The client.
        client: ClientName,
        /// The code.
        code: TaxCode,
    },
    /// The part is not in the period, or the period has no length.
    #[error("client {client}: the part from {} to {} is not one of a period from {} to {}", .part.begin_ms, .part.end_ms, .period.begin_ms, .period.end_ms)]
    NotAPart {
        /// The client.
        client: ClientName,
        /// The part.
        part: Span,
        /// The period.
        period: Span,
    },
}

/// The lines of a part, in the order of their ids.
///
/// # Errors
/// If a number does not fit, or the terms have no rate for a tax code.
pub fn rate(part: &Part<'_>) -> Result<Vec<RatedLine>, RatingError> {
    let (span, period) = (part.usage.part(), part.head.period);
    if span.ms() == 0 || span.overlap(period) != span {
        let client = part.head.client.clone();
        return Err(RatingError::NotAPart { client, part: span, period });
    }
    let mut lines = Vec::new();
    for item in &part.card.items {
        let mut of_item =
            charges::charge(part, item).map_err(|TooGreat| part.too_great(&format!("item {}", item.name)))?;
        totals::bound(part, item, &mut of_item)
            .map_err(|TooGreat| part.too_great(&format!("the total of item {}", item.name)))?;
        lines.append(&mut of_item);
    }
    for commitment in &part.card.commitments {
        let true_up = totals::true_up(part, commitment, &lines)
            .map_err(|TooGreat| part.too_great(&format!("commitment {}", commitment.name)))?;
        lines.extend(true_up);
    }
    let credited = credits::credit(part, &lines).map_err(|TooGreat| part.too_great("a credit"))?;
    lines.extend(credited);
    lines.retain(|line| !line.is_empty());
    lines.sort_unstable_by_key(|line| line.line.id);
    let taxed = taxes::tax(part, &mut lines)?;
    lines.extend(taxed);
    lines.sort_unstable_by_key(|line| line.line.id);
    Ok(lines)
}

impl Part<'_> {
    /// The proportion of the part to the period.
    fn factor(&self) -> crate::derivation::Factor {
        crate::derivation::Factor { ms: self.usage.part().ms(), of_ms: self.head.period.ms() }
    }

    fn too_great(&self, what: &str) -> RatingError {
        RatingError::TooGreat { client: self.head.client.clone(), what: what.to_owned() }
    }
}

/// The sum of the amounts of lines.
fn sum<'a>(lines: impl IntoIterator<Item = &'a RatedLine>) -> Result<i128, TooGreat> {
    lines.into_iter().try_fold(0_i128, |sum, line| sum.checked_add(line.amount()).ok_or(TooGreat))
}

/// Splits a number in proportion to parts whose shares are known without their fractions: what is left goes, one each, to the
/// greatest fractions, the first of equal ones first. `fractions` are out of the same whole.
fn give_rest(shares: &mut [i128], fractions: &[i128], rest: i128) {
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|index| fractions.get(*index).map(|fraction| std::cmp::Reverse(*fraction)));
    let count = usize::try_from(rest).unwrap_or(0);
    for index in order.into_iter().take(count) {
        if let Some(share) = shares.get_mut(index) {
            *share += 1;
        }
    }
}
