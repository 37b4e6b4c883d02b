//! Versions of rate cards: they never change, and have no gaps.

use spillway_events::{RateCard, RateCardName};

use crate::field_path::FieldPath;
use crate::fields::Rules;
use crate::state::State;

/// Finds out whether a card changes one that exists, or leaves out a version. `after` is the state with all objects of the command.
pub(super) fn check(card: &RateCard, before: &State, after: &State, rules: &mut Rules) {
    let existing = before.rate_card(&card.name, card.version);
    if existing.is_some_and(|existing| **existing != *card) {
        let next = last_version(&card.name, before) + 1;
        let rule = format!("a version of a rate card never changes: apply the change as version {next}");
        rules.broken_at(FieldPath::default(), rule);
        return;
    }
    if card.version > 1 && after.rate_card(&card.name, card.version - 1).is_none() {
        let last = last_version(&card.name, after);
        let rule = match last {
            0 => format!("must be 1: there is no earlier version of {}", card.name),
            last => format!("must be {}: the last version of {} is {last}", last + 1, card.name),
        };
        rules.broken("version", rule);
    }
}

/// The last of the versions that have no gap before them, which those of a state have not.
fn last_version(name: &RateCardName, state: &State) -> u32 {
    (1..).take_while(|version| state.rate_card(name, *version).is_some()).last().unwrap_or(0)
}
