//! Numbers through creations and deletions, in one directory that follows the changes.

use spillway_events::{CdnName, CdnOfSite, ClientName, Event, Origin};
use spillway_provisioning::SavedObject;

use super::*;

fn site(name: &str, cdns: &[&str]) -> Event {
    Event::Site(Site {
        title: None,
        name: SiteName::new(name).unwrap(),
        client: ClientName::new("client").unwrap(),
        hosts: Vec::new(),
        origin: Origin { name: String::from("origin"), addresses: Vec::new(), probe_url: None },
        cdns: cdns.iter().map(|cdn| CdnOfSite { cdn: CdnName::new(*cdn).unwrap(), dns_name: None }).collect(),
        ttl_secs: 20,
        probe_interval_ms: 10_000,
        objectives: Vec::new(),
    })
}

fn probe(agent: &str, network: &str) -> Event {
    let (agent, network) = (AgentName::new(agent).unwrap(), NetworkName::new(network).unwrap());
    Event::Probe(Probe { agent, network })
}

fn id(event: &Event) -> ObjectId {
    match event {
        Event::Site(site) => ObjectId::new(ObjectKind::Site, site.name.as_str()),
        Event::Probe(Probe { agent, network }) => {
            ObjectId::new(ObjectKind::Probe, format!("{agent}/{network}").as_str())
        }
        other => panic!("{other:?}"),
    }
}

/// A directory with the state that it follows.
#[derive(Default)]
struct Followed {
    directory: Directory,
    objects: Vec<Event>,
}

impl Followed {
    fn put(&mut self, object: Event) {
        self.objects.retain(|other| id(other) != id(&object));
        let changed = [id(&object)];
        self.objects.push(object);
        self.update(&changed, &[]);
    }

    fn delete(&mut self, object: &Event) {
        self.objects.retain(|other| id(other) != id(object));
        self.update(&[], &[id(object)]);
    }

    fn update(&mut self, changed: &[ObjectId], deleted: &[ObjectId]) {
        let saved = |object: &Event| SavedObject { object: object.clone(), changed: 0, agreement: 0 };
        let state = State::restored(1, self.objects.iter().map(saved), []);
        self.directory.update(&state, changed, deleted);
    }

    fn series(&self, target: &str, agent: &str, network: &str) -> Result<SeriesId, &'static str> {
        self.directory.series(&SeriesNames { site: "b", target, agent, network })
    }
}

/// All workers give the same numbers: the least that is free, else the next.
#[test]
fn the_numbers_of_deleted_objects_are_given_again_the_least_first() {
    let mut followed = Followed::default();
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|name| site(name, &[]));
    let [one, two, three] = ["one", "two", "three"].map(|agent| probe(agent, "everywhere"));
    [&a, &b, &c, &one, &two].into_iter().for_each(|object| followed.put(object.clone()));
    followed.put(b.clone());
    let numbers = |followed: &Followed| ["a", "b", "c", "d", "e"].map(|name| followed.directory.number(name));
    assert_eq!(numbers(&followed), [Some(0), Some(1), Some(2), None, None]);
    followed.delete(&c);
    followed.delete(&a);
    assert_eq!(numbers(&followed), [None, Some(1), None, None, None]);
    followed.put(d);
    followed.put(e);
    assert_eq!(numbers(&followed), [None, Some(1), None, Some(0), Some(2)]);

    let agents = |followed: &Followed| {
        [0, 1, 2].map(|number| followed.directory.numbered_probe(number).map(|probe| probe.agent.to_string()))
    };
    followed.delete(&one);
    assert_eq!(agents(&followed), [None, Some("two".to_owned()), None]);
    assert_eq!(followed.directory.numbered(&id(&one)), None);
    followed.put(three.clone());
    followed.put(two);
    assert_eq!(agents(&followed), [Some("three".to_owned()), Some("two".to_owned()), None]);
    assert_eq!(followed.directory.numbered(&id(&three)), Some(0));
}

#[test]
fn an_agent_is_known_while_it_has_a_probe() {
    let mut followed = Followed::default();
    let probes = ["near", "far"].map(|network| probe("agent", network));
    assert!(!followed.directory.has_agent("agent"));
    followed.put(probes[0].clone());
    followed.put(probes[1].clone());
    followed.delete(&probes[0]);
    assert!(followed.directory.has_agent("agent"));
    assert!(!followed.directory.has_agent("other"));
    followed.delete(&probes[1]);
    assert!(!followed.directory.has_agent("agent"));
}

#[test]
fn a_series_has_numbers_while_its_site_target_and_probe_are_provisioned() {
    let mut followed = Followed::default();
    let probe = probe("agent", "near");
    [site("a", &[]), site("b", &["first", "second"]), probe.clone()]
        .into_iter()
        .for_each(|object| followed.put(object));
    let series = |target| SeriesId { site: 1, probe: 0, target };
    for (target, expected) in [
        ("origin", Ok(series(0))),
        ("first", Ok(series(1))),
        ("second", Ok(series(2))),
        ("third", Err("unknown site or target")),
    ] {
        assert_eq!(followed.series(target, "agent", "near"), expected, "{target}");
    }
    // The targets are those of the latest specification.
    followed.put(site("b", &["second"]));
    assert_eq!(followed.series("second", "agent", "near"), Ok(series(1)));
    assert_eq!(followed.series("first", "agent", "near"), Err("unknown site or target"));
    assert_eq!(followed.series("origin", "agent", "far"), Err("probe not provisioned"));
    assert_eq!(followed.series("origin", "other", "near"), Err("probe not provisioned"));
    followed.delete(&probe);
    assert_eq!(followed.series("origin", "agent", "near"), Err("probe not provisioned"));
    followed.delete(&site("b", &[]));
    assert_eq!(followed.series("origin", "agent", "near"), Err("unknown site or target"));
}
