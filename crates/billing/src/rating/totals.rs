//! Steps 3 and 4: an item's discount, minimum and maximum; commitments over several items.

use spillway_events::{LineKind, RateCommitment, RateItem};

use super::{Part, sum};
use crate::derivation::{Derivation, FillUp, Share};
use crate::line::{RatedLine, Subject};
use crate::wide::TooGreat;

/// Adds the lines of an item's discount, minimum and maximum to its lines.
pub(super) fn bound(part: &Part<'_>, item: &RateItem, lines: &mut Vec<RatedLine>) -> Result<(), TooGreat> {
    let subject = |kind| Subject::of_item(&item.name, kind, &item.tax_code);
    let discount = Derivation::Share(Share::off(sum(&*lines)?, item.discount_ppm)?);
    lines.push(part.head.line(subject(LineKind::Discount), 0, discount)?);
    for (kind, bound) in [(LineKind::Minimum, item.minimum), (LineKind::Maximum, item.maximum)] {
        let Some(bound) = bound else { continue };
        let fill_up = FillUp::new(bound, sum(&*lines)?, part.factor(), part.terms.currency_exponent)?;
        let is_broken = match kind {
            LineKind::Minimum => fill_up.amount > 0,
            _ => fill_up.amount < 0,
        };
        if is_broken {
            lines.push(part.head.line(subject(kind), 0, Derivation::FillUp(fill_up))?);
        }
    }
    Ok(())
}

/// The line of what the items of a commitment lack.
pub(super) fn true_up(
    part: &Part<'_>,
    commitment: &RateCommitment,
    lines: &[RatedLine],
) -> Result<Option<RatedLine>, TooGreat> {
    let is_of_item =
        |line: &&RatedLine| line.line.kind != LineKind::TrueUp && commitment.items.contains(&line.line.item);
    let reached = sum(lines.iter().filter(is_of_item))?;
    let exponent = part.terms.currency_exponent;
    let fill_up = FillUp::new(commitment.amount, reached, part.factor(), exponent)?;
    if fill_up.amount <= 0 {
        return Ok(None);
    }
    let subject = Subject::of_item(&commitment.name, LineKind::TrueUp, &commitment.tax_code);
    part.head.line(subject, 0, Derivation::FillUp(fill_up)).map(Some)
}
