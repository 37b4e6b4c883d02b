//! Any sequence of moves.

use std::sync::Arc;

use proptest::prelude::*;
use spillway_events::{Agreement, AgreementName, Event, Sha256, SiteName, Stage, TimeMicros};

use super::super::{command, with, world};
use super::{Client, Provider, TERMS, document, time};
use crate::{AgreementAct, AgreementCommand, Change, Command, Standing, State, VersionId, decide, standing};

/// Any move of any party, at any time, with the terms of one of some agreements.
fn moves() -> impl Strategy<Value = (i64, bool, u8, usize, u32, i64)> {
    (0_i64..40, any::<bool>(), 0_u8..10, 0_usize..4, 1_u32..6, 0_i64..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    // Whatever the parties do, one version at most is in force for a site, numbers and terms never change, and the state that
    // is made of the records is the same.
    #[test]
    fn no_sequence_of_moves_breaks_an_invariant(all in prop::collection::vec(moves(), 1..40)) {
        const HOUR_US: i64 = 3_600_000_000;
        let start = time("2026-12-01T00:00:00Z").0;
        let mut state = with(world(), "blog", "kind: site\nclient: acme\nname: blog\nhosts: [blog.example.com]\n");
        let (mut records, first) = (Vec::new(), state.clone());
        let mut now = start;
        for (wait, is_client, act, agreement, number, ahead) in all {
            now += wait * HOUR_US / 4;
            let by = if is_client { Client } else { Provider };
            let (name, sites) = [("gold", "shop"), ("gold", "shop, blog"), ("silver", "blog"), ("tin", "shop")][agreement];
            let boundary = TimeMicros((now / HOUR_US + ahead) * HOUR_US);
            let text = TERMS.replace("gold", name).replace("[shop]", &format!("[{sites}]"))
                .replace("2026-12-01T00:00:00Z", &spillway_events::format_time(boundary));
            let id = VersionId { name: AgreementName::new(name).expect("a name"), version: number };
            let digest = state.agreement(&id.object()).map_or_else(|| Sha256::of(b""), |version| version.terms_sha256);
            let reason = || String::from("any");
            let act = match act {
                0 => AgreementAct::Draft(document(&text)),
                1 | 2 => AgreementAct::Propose(document(&text)),
                3 => AgreementAct::ProposeDraft(id),
                4 => AgreementAct::Counter(id, document(&text)),
                5 | 6 => AgreementAct::Accept(id, digest),
                7 => AgreementAct::Suspend(id, boundary, reason()),
                8 => AgreementAct::Resume(id, boundary, reason()),
                _ => AgreementAct::Terminate(id, boundary, reason()),
            };
            let command = Command { at_us: TimeMicros(now), ..command("any", Change::Agreement(AgreementCommand { by, act })) };
            let Ok(events) = decide(&state, &command) else { continue };
            for event in &events {
                let Event::Agreement(after) = event else { panic!("another event") };
                let before = state.versions(&after.name).find(|before| before.version == after.version);
                let is_fixed = |before: &&Arc<Agreement>| before.stage != Stage::Draft;
                if let Some(before) = before.filter(is_fixed) {
                    prop_assert_eq!(&before.terms, &after.terms);
                    prop_assert_eq!(before.proposed_by, after.proposed_by);
                }
            }
            let record = command.into_record(state.revision(), events);
            state.apply(&record).expect("the record is next");
            records.push(record);
            for hour in -1..90 {
                let at = TimeMicros((now / HOUR_US + hour) * HOUR_US);
                for site in ["shop", "blog"] {
                    let site = SiteName::new(site).expect("a name");
                    let active = state.accepted_versions(&site).filter(|of| standing(of, at) == Standing::Active);
                    prop_assert!(active.count() <= 1, "{} at {}", site, at.0);
                }
            }
        }
        let mut again = first;
        records.iter().for_each(|record| _ = again.apply(record).expect("the record is next"));
        prop_assert_eq!(&again, &state);
        let restored = State::restored(state.revision(), state.saved_objects(), []);
        prop_assert_eq!(&restored, &state);
    }
}
