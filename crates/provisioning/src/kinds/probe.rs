//! Probes: pairs of an agent and the access network that it measures from.

use serde::{Deserialize, Serialize};
use spillway_events::{AgentName, NetworkName, ObjectKind, Probe, folded_name};

use super::kind::Kind;
use crate::field_path::FieldPath;
use crate::fields::{Field, Rules};
use crate::object::{Claim, ObjectId, Reference};

/// The fields of a probe.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ProbeSpec {
    agent: Field<AgentName>,
    network: Field<NetworkName>,
}

pub(super) fn read(spec: ProbeSpec, rules: &mut Rules) -> Option<Probe> {
    let agent = rules.required("agent", spec.agent);
    let network = rules.required("network", spec.network);
    Some(Probe { agent: agent?, network: network? })
}

impl From<&Probe> for ProbeSpec {
    fn from(probe: &Probe) -> Self {
        let Probe { agent, network } = probe.clone();
        Self { agent: agent.into(), network: network.into() }
    }
}

impl Kind for Probe {
    fn id(&self) -> ObjectId {
        ObjectId::of_probe(self)
    }

    fn references(&self) -> Vec<Reference> {
        let target = ObjectId::new(ObjectKind::Network, self.network.as_str());
        vec![Reference { field: FieldPath::of("network"), target }]
    }

    fn claims(&self) -> Vec<(FieldPath, Claim)> {
        vec![(FieldPath::of("agent"), Claim::Agent(folded_name(self.agent.as_str()).into()))]
    }
}
