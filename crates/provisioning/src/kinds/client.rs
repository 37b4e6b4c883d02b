//! Clients: the provider's customers.

use serde::{Deserialize, Serialize};
use spillway_events::{Client, ClientName, ObjectKind};

use super::kind::Kind;
use crate::field_path::FieldPath;
use crate::fields::{Field, Rules, optional};
use crate::object::{Claim, ObjectId, Reference};
use crate::values::Title;

/// The fields of a client.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ClientSpec {
    name: Field<ClientName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    title: Field<Title>,
}

pub(super) fn read(spec: ClientSpec, rules: &mut Rules) -> Option<Client> {
    let name = rules.required("name", spec.name);
    let title = rules.optional("title", spec.title);
    Some(Client { name: name?, title: title?.map(String::from) })
}

impl From<&Client> for ClientSpec {
    fn from(client: &Client) -> Self {
        let Client { name, title } = client.clone();
        Self { name: name.into(), title: optional(title, Title) }
    }
}

impl Kind for Client {
    fn id(&self) -> ObjectId {
        ObjectId::new(ObjectKind::Client, self.name.as_str())
    }

    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn claims(&self) -> Vec<(FieldPath, Claim)> {
        vec![(FieldPath::of("name"), Claim::name(&self.id()))]
    }
}
