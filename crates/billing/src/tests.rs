//! Tests of the crate's public face.

mod chain;
mod counters;
mod naive;
mod rating;
mod rating_properties;
mod slots;
mod statement;
mod time_meters;

use std::collections::BTreeMap;

use spillway_events::{
    ClientName, DecimalAmount, Increment, LineName, Meter, RateBy, RateCard, RateCardName, RateItem,
    RateModel, Sha256, SiteName, TargetName, TaxCode,
};

use crate::{LineHead, Minutes, Part, RatedLine, RatingError, SLOT_MS, Span, TaxRate, Terms, Usage, rate};

/// A period of 10 slots.
const PERIOD: Span = Span { begin_ms: 0, end_ms: 10 * SLOT_MS };

fn site(name: &str) -> SiteName {
    SiteName::new(name).unwrap()
}

fn target(name: &str) -> TargetName {
    TargetName::new(name).unwrap()
}

fn name(name: &str) -> LineName {
    LineName::new(name).unwrap()
}

fn code(code: &str) -> TaxCode {
    TaxCode::new(code).unwrap()
}

fn amount(text: &str) -> DecimalAmount {
    text.parse().unwrap()
}

fn increment(meter: Meter, of: &str, to: &str, slot: i64, quantity: i64) -> Increment {
    Increment {
        client: ClientName::new("acme").unwrap(),
        meter,
        meter_version: 1,
        site: site(of),
        target: (!to.is_empty()).then(|| target(to)),
        slot_ms: slot * SLOT_MS,
        quantity,
        agreement: Some(String::from("acme-1")),
        agreement_version: Some(1),
        tick: 1,
        chain: Sha256::ZERO,
    }
}

fn bytes(of: &str, to: &str, slot: i64, quantity: i64) -> Increment {
    increment(Meter::Bytes, of, to, slot, quantity)
}

fn item(text: &str, meter: Option<Meter>, model: RateModel) -> RateItem {
    RateItem {
        name: name(text),
        meter,
        sites: Vec::new(),
        targets: Vec::new(),
        by: RateBy::None,
        model,
        free_quantity: 0,
        discount_ppm: 0,
        minimum: None,
        maximum: None,
        deduct_probes: false,
        tax_code: code("none"),
    }
}

fn card(items: Vec<RateItem>) -> RateCard {
    RateCard {
        name: RateCardName::new("card").unwrap(),
        version: 1,
        title: None,
        items,
        commitments: Vec::new(),
    }
}

/// What a client used, and what was agreed.
#[derive(Debug, Clone)]
struct Case {
    card: RateCard,
    terms: Terms,
    increments: Vec<Increment>,
    period: Span,
    part: Span,
    sites: BTreeMap<SiteName, Vec<Span>>,
    minutes: BTreeMap<SiteName, Minutes>,
}

impl Case {
    fn new(card: RateCard, increments: Vec<Increment>) -> Self {
        let tax_rates = vec![TaxRate { code: code("none"), from_ms: 0, ppm: 0 }];
        let terms = Terms { currency_exponent: 2, tax_rates, ..Terms::default() };
        Self {
            card,
            terms,
            increments,
            period: PERIOD,
            part: PERIOD,
            sites: BTreeMap::new(),
            minutes: BTreeMap::new(),
        }
    }

    fn try_rate(&self) -> Result<Vec<RatedLine>, RatingError> {
        let client = ClientName::new("acme").unwrap();
        let mut usage = Usage::new(self.part);
        self.increments.iter().for_each(|increment| usage.add(increment).unwrap());
        let head = LineHead { client: &client, agreement: "acme-1", version: 1, period: self.period };
        let Self { card, terms, sites, minutes, .. } = self;
        rate(&Part { head, card, terms, usage: &usage, sites, minutes })
    }

    fn rate(&self) -> Vec<RatedLine> {
        self.try_rate().unwrap()
    }

    /// The lines, one a text: item, site and target, kind, tier, quantity, amount, and tax if there is any.
    fn shown(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.rate().iter().map(shown).collect();
        lines.sort();
        lines
    }
}

fn shown(RatedLine { line, .. }: &RatedLine) -> String {
    let place = |text: Option<&str>| text.map(|text| format!(" {text}")).unwrap_or_default();
    let tier = if line.tier.is_empty() { String::new() } else { format!(" [{}]", line.tier) };
    let tax = if line.tax_minor == 0 { String::new() } else { format!(" +{}", line.tax_minor) };
    format!(
        "{}{}{} {}{tier} {} = {}{tax}",
        line.item,
        place(line.site.as_ref().map(SiteName::as_str)),
        place(line.target.as_ref().map(TargetName::as_str)),
        line.kind.as_str(),
        line.quantity,
        line.amount_minor,
    )
}

/// What a line is for.
fn shown_key(RatedLine { line, .. }: &RatedLine) -> String {
    let (site, target) =
        (line.site.as_ref().map(SiteName::as_str), line.target.as_ref().map(TargetName::as_str));
    format!(
        "{}/{}/{}/{}/{}",
        line.item,
        site.unwrap_or(""),
        target.unwrap_or(""),
        line.kind.as_str(),
        line.tier
    )
}
