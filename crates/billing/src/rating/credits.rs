//! Step 5: credits for a level that was not kept.

use std::collections::BTreeMap;

use spillway_events::{LineKind, LineName, SiteName, TaxCode};

use super::{Part, give_rest};
use crate::derivation::{CreditShare, Derivation};
use crate::line::{RatedLine, Subject};
use crate::service_level::Minutes;
use crate::terms::{CreditCap, CreditStep, CreditTerms};
use crate::wide::{Division, TooGreat};

/// 10⁶.
const MILLION: i128 = 1_000_000;

/// The lines of the credits of all sites; `lines` are those of steps 1 to 4.
pub(super) fn credit(part: &Part<'_>, lines: &[RatedLine]) -> Result<Vec<RatedLine>, TooGreat> {
    let Some(terms) = &part.terms.credits else { return Ok(Vec::new()) };
    let mut credits = Vec::new();
    for (site, minutes) in part.minutes {
        if let Some((attainment_ppm, step)) = step_of(terms, minutes) {
            credits.extend(credit_site(part, terms, site, attainment_ppm, step, lines)?);
        }
    }
    Ok(credits)
}

/// The attainment and the step that it falls below; none if it falls below none, or is not known well enough.
fn step_of(terms: &CreditTerms, minutes: &Minutes) -> Option<(u32, CreditStep)> {
    let attainment = minutes.attainment_ppm()?;
    minutes.coverage_ppm().filter(|coverage| *coverage >= terms.coverage_min_ppm)?;
    let missed = terms.steps.iter().filter(|step| step.below_ppm > attainment);
    missed.min_by_key(|step| step.below_ppm).map(|step| (attainment, *step))
}

fn credit_site(
    part: &Part<'_>,
    terms: &CreditTerms,
    site: &SiteName,
    attainment_ppm: u32,
    step: CreditStep,
    lines: &[RatedLine],
) -> Result<Vec<RatedLine>, TooGreat> {
    let bases = bases(terms, site, lines)?;
    let base = bases.values().try_fold(0_i128, |sum, base| sum.checked_add(*base)).ok_or(TooGreat)?;
    if base <= 0 {
        return Ok(Vec::new());
    }
    let per_base =
        |numerator: u32, denominator| Division::new(base, &[u128::from(numerator)], &[denominator]);
    // The base is in millionths.
    let division = per_base(step.basis_points, 10_u128.pow(10))?;
    let cap = match terms.cap {
        None => None,
        Some(CreditCap::PpmOfBase(ppm)) => Some(per_base(ppm, 10_u128.pow(12))?),
        Some(CreditCap::Amount(cap)) => Some(part.factor().of_amount(cap, part.terms.currency_exponent)?),
    };
    let credit = cap.map_or(division.rounded, |cap| cap.rounded.min(division.rounded));
    let mut codes = Vec::new();
    for (code, code_base) in bases {
        let subject = subject(site, &code)?;
        codes.push((part.head.line_id(&subject), code_base, subject));
    }
    codes.sort_unstable_by_key(|(id, ..)| *id);
    let shares = split(credit, base, codes.iter().map(|(_, code_base, _)| *code_base))?;
    let lines = codes.into_iter().zip(shares).map(|((_, code_base_millionths, subject), share)| {
        let derivation = CreditShare {
            attainment_ppm,
            below_ppm: step.below_ppm,
            basis_points: step.basis_points,
            base_millionths: base,
            division,
            cap,
            credit,
            code_base_millionths,
            share,
        };
        part.head.line(subject, 0, Derivation::Credit(derivation))
    });
    lines.collect()
}

/// The base of a site by tax code, in millionths of the minor unit: the lines that name it, and the agreed share of those that
/// name no site.
fn bases(
    terms: &CreditTerms,
    site: &SiteName,
    lines: &[RatedLine],
) -> Result<BTreeMap<TaxCode, i128>, TooGreat> {
    let mut bases: BTreeMap<TaxCode, i128> = BTreeMap::new();
    for line in lines {
        let ppm = match &line.line.site {
            Some(named) if named == site => MILLION,
            Some(_) => continue,
            None => i128::from(terms.share_ppm),
        };
        if let Some(code) = line.line.tax_code.as_ref().filter(|_| ppm > 0) {
            let part = line.amount().checked_mul(ppm).ok_or(TooGreat)?;
            let base = bases.entry(code.clone()).or_default();
            *base = base.checked_add(part).ok_or(TooGreat)?;
        }
    }
    Ok(bases)
}

/// Splits a credit over the bases of codes, which are in the order of their line ids, by largest remainder.
fn split(credit: i128, base: i128, bases: impl Iterator<Item = i128>) -> Result<Vec<i128>, TooGreat> {
    let (mut shares, mut fractions) = (Vec::new(), Vec::new());
    for code_base in bases {
        let product = credit.checked_mul(code_base).ok_or(TooGreat)?;
        shares.push(product.div_euclid(base));
        fractions.push(product.rem_euclid(base));
    }
    let rest = credit - shares.iter().sum::<i128>();
    give_rest(&mut shares, &fractions, rest);
    Ok(shares)
}

fn subject(site: &SiteName, code: &TaxCode) -> Result<Subject, TooGreat> {
    // `credit` is a name.
    let item = LineName::new("credit").map_err(|_| TooGreat)?;
    Ok(Subject {
        item,
        site: Some(site.clone()),
        target: None,
        kind: LineKind::Credit,
        tier: code.to_string(),
        tax_code: Some(code.clone()),
    })
}
