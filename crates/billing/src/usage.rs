//! What was counted for a client in a part of a period: the increments of the log, summed up.

use std::collections::BTreeMap;

use spillway_events::{Increment, Meter, SiteName, TargetName};

use crate::period::Span;
use crate::wide::TooGreat;

/// What was counted for a client in a part of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    part: Span,
    counted: BTreeMap<Meter, BTreeMap<(SiteName, Option<TargetName>), Counted>>,
    /// The bytes of each slot that has a report, by target.
    egress: BTreeMap<TargetName, BTreeMap<i64, i128>>,
}

/// A sum of increments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The sum.
    pub quantity: i128,
    /// How many increments there are.
    pub increments: u64,
    /// The first slot of one.
    pub first_slot_ms: i64,
    /// The last slot of one.
    pub last_slot_ms: i64,
}

impl Usage {
    /// Nothing yet, of a part of a period.
    #[must_use]
    pub fn new(part: Span) -> Self {
        Self { part, counted: BTreeMap::new(), egress: BTreeMap::new() }
    }

    /// Adds an increment, if its slot begins in the part. The order of increments does not matter.
    ///
    /// # Errors
    /// If the sum does not fit.
    pub fn add(&mut self, increment: &Increment) -> Result<(), TooGreat> {
        let Increment { meter, site, target, slot_ms, quantity, .. } = increment;
        if !self.part.contains(*slot_ms) {
            return Ok(());
        }
        let one = Counted {
            quantity: i128::from(*quantity),
            increments: 1,
            first_slot_ms: *slot_ms,
            last_slot_ms: *slot_ms,
        };
        let of_meter = self.counted.entry(*meter).or_default();
        let sum = of_meter.entry((site.clone(), target.clone())).or_insert_with(|| Counted::none(*slot_ms));
        *sum = sum.and(one)?;
        if let (Meter::Bytes, Some(target)) = (meter, target) {
            let bytes = self.egress.entry(target.clone()).or_default().entry(*slot_ms).or_default();
            *bytes = bytes.checked_add(i128::from(*quantity)).ok_or(TooGreat)?;
        }
        Ok(())
    }

    /// The part.
    #[must_use]
    pub fn part(&self) -> Span {
        self.part
    }

    /// The sums of a meter, by site and target.
    pub fn of_meter(&self, meter: Meter) -> impl Iterator<Item = (&SiteName, Option<&TargetName>, &Counted)> {
        let counted = self.counted.get(&meter).into_iter().flatten();
        counted.map(|((site, target), counted)| (site, target.as_ref(), counted))
    }

    /// The targets that have a slot with a report.
    pub fn targets(&self) -> impl Iterator<Item = &TargetName> {
        self.egress.keys()
    }

    /// The bytes of a target's slots that have a report.
    #[must_use]
    pub fn egress(&self, target: &TargetName) -> Option<&BTreeMap<i64, i128>> {
        self.egress.get(target)
    }
}

impl Counted {
    fn none(slot_ms: i64) -> Self {
        Self { quantity: 0, increments: 0, first_slot_ms: slot_ms, last_slot_ms: slot_ms }
    }

    /// The sum of both.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn and(self, other: Self) -> Result<Self, TooGreat> {
        Ok(Self {
            quantity: self.quantity.checked_add(other.quantity).ok_or(TooGreat)?,
            increments: self.increments + other.increments,
            first_slot_ms: self.first_slot_ms.min(other.first_slot_ms),
            last_slot_ms: self.last_slot_ms.max(other.last_slot_ms),
        })
    }
}
