//! Step 6: a line of tax for each code and rate, and its shares on the lines that it is for.

use std::collections::BTreeMap;

use spillway_events::{LineKind, LineName, TaxCode};

use super::{Part, RatingError, give_rest, sum};
use crate::derivation::{Derivation, Share};
use crate::line::{RatedLine, Subject};
use crate::wide::TooGreat;

/// 10⁶.
const MILLION: i128 = 1_000_000;

/// The lines of tax of lines in the order of their ids, on which their shares are put.
pub(super) fn tax(part: &Part<'_>, lines: &mut [RatedLine]) -> Result<Vec<RatedLine>, RatingError> {
    let mut codes: BTreeMap<TaxCode, Vec<&mut RatedLine>> = BTreeMap::new();
    for line in lines {
        if let Some(code) = line.line.tax_code.clone() {
            codes.entry(code).or_default().push(line);
        }
    }
    let last_ms = part.head.period.end_ms - 1;
    let mut taxes = Vec::new();
    for (code, lines) in codes {
        let client = || part.head.client.clone();
        let ppm = part.terms.tax_ppm(&code, last_ms);
        let ppm = ppm.ok_or_else(|| RatingError::NoTaxRate { client: client(), code: code.clone() })?;
        let tax = tax_code(part, &code, ppm, lines)
            .map_err(|TooGreat| part.too_great(&format!("the tax of code {code}")))?;
        taxes.push(tax);
    }
    taxes.retain(|tax| !tax.is_empty());
    Ok(taxes)
}

fn tax_code(
    part: &Part<'_>,
    code: &TaxCode,
    ppm: u32,
    lines: Vec<&mut RatedLine>,
) -> Result<RatedLine, TooGreat> {
    let tax = Share::new(sum(lines.iter().map(|line| &**line))?, ppm)?;
    let (mut shares, mut fractions) = (Vec::new(), Vec::new());
    for line in &lines {
        let product = line.amount().checked_mul(i128::from(ppm)).ok_or(TooGreat)?;
        shares.push(product.div_euclid(MILLION));
        fractions.push(product.rem_euclid(MILLION));
    }
    let rest = tax.division.rounded - shares.iter().sum::<i128>();
    give_rest(&mut shares, &fractions, rest);
    for (line, share) in lines.into_iter().zip(shares) {
        line.line.tax_minor = i64::try_from(share).map_err(|_| TooGreat)?;
    }
    let subject = Subject {
        // `tax` is a name.
        item: LineName::new("tax").map_err(|_| TooGreat)?,
        site: None,
        target: None,
        kind: LineKind::Tax,
        tier: format!("{code}/{ppm}"),
        tax_code: None,
    };
    part.head.line(subject, 0, Derivation::Share(tax))
}
