//! Lines with their derivation, and their ids.

use spillway_events::{
    ClientName, LineClass, LineId, LineKind, LineName, Sha256, SiteName, StatementLine, TargetName, TaxCode,
};

use crate::derivation::Derivation;
use crate::period::Span;
use crate::wide::TooGreat;

/// A line, and how its amount comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatedLine {
    /// The line.
    pub line: StatementLine,
    /// How its amount comes about.
    pub derivation: Derivation,
}

/// Whose lines they are, and of which period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineHead<'a> {
    /// The client.
    pub client: &'a ClientName,
    /// The agreement.
    pub agreement: &'a str,
    /// Its version.
    pub version: u32,
    /// The whole period, also for a part of it.
    pub period: Span,
}

/// What a line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) item: LineName,
    pub(crate) site: Option<SiteName>,
    pub(crate) target: Option<TargetName>,
    pub(crate) kind: LineKind,
    pub(crate) tier: String,
    pub(crate) tax_code: Option<TaxCode>,
}

impl Subject {
    /// A line of a whole item or commitment.
    pub(crate) fn of_item(item: &LineName, kind: LineKind, tax_code: &TaxCode) -> Self {
        let (item, tax_code) = (item.clone(), Some(tax_code.clone()));
        Self { item, site: None, target: None, kind, tier: String::new(), tax_code }
    }
}

impl LineHead<'_> {
    /// The line of a subject. Its amount is that of the derivation.
    pub(crate) fn line(
        &self,
        subject: Subject,
        quantity: i128,
        derivation: Derivation,
    ) -> Result<RatedLine, TooGreat> {
        let id = self.line_id(&subject);
        let fitting = |number: i128| i64::try_from(number).map_err(|_| TooGreat);
        let Subject { item, site, target, kind, tier, tax_code } = subject;
        let line = StatementLine {
            id,
            class: LineClass::Regular,
            client: self.client.clone(),
            agreement: self.agreement.to_owned(),
            agreement_version: self.version,
            item,
            site,
            target,
            kind,
            tier,
            begin_ms: self.period.begin_ms,
            end_ms: self.period.end_ms,
            quantity: fitting(quantity)?,
            amount_minor: fitting(derivation.amount())?,
            tax_code,
            tax_minor: 0,
        };
        Ok(RatedLine { line, derivation })
    }

    /// The id of a line: the first 16 bytes of the SHA-256 of its key, each part of which is followed by a zero byte.
    pub(crate) fn line_id(&self, subject: &Subject) -> LineId {
        let Subject { item, site, target, kind, tier, .. } = subject;
        let (version, begin, end) =
            (self.version.to_string(), self.period.begin_ms.to_string(), self.period.end_ms.to_string());
        let parts = [
            self.agreement,
            &version,
            item.as_str(),
            site.as_ref().map_or("", SiteName::as_str),
            target.as_ref().map_or("", TargetName::as_str),
            kind.as_str(),
            tier,
            &begin,
            &end,
        ];
        LineId::of(Sha256::of_parts(parts.into_iter().flat_map(|part| [part, "\0"])))
    }
}

impl RatedLine {
    /// The amount in the currency's minor unit.
    #[must_use]
    pub fn amount(&self) -> i128 {
        i128::from(self.line.amount_minor)
    }

    /// Whether the line says nothing: neither a quantity nor an amount, where only the amount or the quantity is of interest.
    pub(crate) fn is_empty(&self) -> bool {
        let is_shown = matches!(self.line.kind, LineKind::Flat | LineKind::Commitment | LineKind::Probe);
        !is_shown && self.line.quantity == 0 && self.line.amount_minor == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest is `printf 'acme-1\0002\000traffic\000shop\000edge-one\000graduated\0001000\0000\0002592000000\000' | sha256sum`.
    #[test]
    fn the_id_is_the_digest_of_the_key() {
        let client = ClientName::new("acme").unwrap();
        let period = Span { begin_ms: 0, end_ms: 2_592_000_000 };
        let head = LineHead { client: &client, agreement: "acme-1", version: 2, period };
        let mut subject = Subject {
            item: LineName::new("traffic").unwrap(),
            site: SiteName::new("shop").ok(),
            target: TargetName::new("edge-one").ok(),
            kind: LineKind::Graduated,
            tier: String::from("1000"),
            tax_code: None,
        };
        assert_eq!(head.line_id(&subject).to_string(), "1e9a5d9c1668376f0600e2de3f3b33ab");
        (subject.site, subject.target) = (None, None);
        assert_eq!(head.line_id(&subject).to_string(), "2ca4de64ef1ec2b3fd2f4be270f3735f");
    }
}
