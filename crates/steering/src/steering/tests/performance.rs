//! Which performance values are emitted, and in which order.

use super::*;

/// The site, target, network, value and samples of each.
fn values(steering: &mut Steering) -> Vec<String> {
    let mut values = Vec::new();
    for site in steering.performance(TimeMicros(100 * SECOND_US)) {
        let emitted = site.values(|of| {
            assert_eq!((of.site, of.at_us), (site.site(), TimeMicros(100 * SECOND_US)));
            let value = of.value.map_or_else(|| String::from("failed"), |value| value.to_string());
            let (site, target, network) = (of.site, of.target, of.network);
            values.push(format!("{site} {target} {network} {value} {:?} x{}", of.verdict, of.samples));
            Ok::<_, ()>(())
        });
        emitted.unwrap();
    }
    values
}

/// The network `far` has no probe, and so takes over what is known of `everywhere`; `near` has one of its own.
#[test]
fn a_network_has_values_where_it_has_evidence_of_its_own() {
    let network = |name: &str| {
        let (name, parent) = (NetworkName::new(name).unwrap(), NetworkName::everywhere());
        Event::Network(Network { name, title: None, parent, prefixes: Vec::new() })
    };
    let near = Probe { agent: AgentName::new("one").unwrap(), network: NetworkName::new("near").unwrap() };
    let objects = [
        network("far"),
        network("near"),
        Event::Probe(near),
        Event::Probe(probe("two")),
        Event::Site(site("a", &[objective(50, 10)])),
    ];
    let mut steering = Steering::default();
    provision_objects(&mut steering, objects, 0);
    assert_eq!(values(&mut steering), [] as [&str; 0]);
    for (probe, target) in [(0, 0), (0, 0), (1, 0), (1, 1)] {
        add_to(&mut steering, (0, probe, target), 100, 100);
    }
    steering.decide(1, TimeMicros(100 * SECOND_US));
    let expected =
        ["a cdn everywhere 50 Below x1", "a origin everywhere 50 Below x3", "a origin near 50 Below x2"];
    assert_eq!(values(&mut steering), expected);
}

/// Sites have numbers in the order of their creation, and one that is deleted gives its number to the next one.
#[test]
fn values_come_in_the_order_of_the_names_of_sites() {
    let mut steering = Steering::default();
    let named =
        |names: &[&str]| -> Vec<Site> { names.iter().map(|name| site(name, &[objective(50, 10)])).collect() };
    let sites = |steering: &mut Steering| -> Vec<String> {
        values(steering).iter().map(|value| value[..1].to_owned()).collect()
    };
    for names in [&["c"][..], &["b", "c"]] {
        provision(&mut steering, &named(names), &[probe("one")]);
    }
    (0..2).for_each(|site| add(&mut steering, site, 0, 100, 100));
    steering.decide(1, TimeMicros(100 * SECOND_US));
    assert_eq!(sites(&mut steering), ["b", "c"]);
    for names in [&["b"][..], &["a", "b"]] {
        provision(&mut steering, &named(names), &[probe("one")]);
    }
    add(&mut steering, 0, 0, 100, 100);
    steering.decide(2, TimeMicros(100 * SECOND_US));
    assert_eq!(sites(&mut steering), ["a", "b"]);
}
