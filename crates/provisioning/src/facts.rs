//! The state as facts: what a checkpoint holds of it.

use spillway_events::Event;

use crate::state::State;

impl State {
    /// The facts that make up the state, each with the number of the record that counts for it: for a site, the one that
    /// last set its objectives; else 0. Commands are not among them.
    pub fn facts(&self) -> impl Iterator<Item = (u64, Event)> + '_ {
        let clients = self.clients.values().cloned().map(Event::Client);
        let networks = self.networks.values().cloned().map(Event::Network);
        let probes = self.probes.iter().cloned().map(Event::Probe);
        let cdns = self.cdns.values().cloned().map(Event::Cdn);
        let gaps = self.gaps.iter().cloned().map(Event::Gap);
        let sites = self.sites.values().map(|site| (site.agreement, Event::Site(site.site.clone())));
        clients.chain(networks).chain(probes).chain(cdns).chain(gaps).map(|event| (0, event)).chain(sites)
    }

    /// The state that these facts make up, in any order. It remembers no commands.
    #[must_use]
    pub fn from_facts<'a>(revision: u64, facts: impl IntoIterator<Item = (u64, &'a Event)>) -> Self {
        let mut state = Self::default();
        state.revision = revision;
        for (number, event) in facts {
            state.apply_event(number, event);
        }
        state
    }
}
