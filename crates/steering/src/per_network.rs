//! A value for each network. Nearly all networks of a site have the same one, so it is stored once.

/// A value for each network of a topology: one that most of them have, and the ones that differ from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PerNetwork<T> {
    usual: T,
    /// By the network's index; none of them is equal to `usual`.
    others: Vec<(u32, T)>,
}

impl<T: Clone + PartialEq> PerNetwork<T> {
    /// The same value in every network.
    #[must_use]
    pub fn uniform(usual: T) -> Self {
        Self { usual, others: Vec::new() }
    }

    /// The values by the networks' indexes. The value at index `usual` is taken as the one that most networks have.
    #[must_use]
    pub fn new(values: &[T], usual: usize) -> Self
    where
        T: Default,
    {
        let usual = values.get(usual).cloned().unwrap_or_default();
        let differing = (0..).zip(values).filter(|(_, value)| **value != usual);
        let others = differing.map(|(network, value)| (network, value.clone())).collect();
        Self { usual, others }
    }

    /// The value in a network.
    #[must_use]
    pub fn get(&self, network: usize) -> &T {
        let found = self.others.binary_search_by_key(&network, |(other, _)| *other as usize);
        found.ok().and_then(|index| self.others.get(index)).map_or(&self.usual, |(_, value)| value)
    }

    /// The value that the networks have that are not among [`PerNetwork::others`].
    #[must_use]
    pub fn usual(&self) -> &T {
        &self.usual
    }

    /// The networks with another value than the usual one, by their indexes.
    pub fn others(&self) -> impl Iterator<Item = (usize, &T)> {
        self.others.iter().map(|(network, value)| (*network as usize, value))
    }

    /// The values in the first `count` networks, by their indexes.
    #[must_use]
    pub fn to_vec(&self, count: usize) -> Vec<T> {
        let mut values = vec![self.usual.clone(); count];
        for (network, value) in self.others() {
            if let Some(slot) = values.get_mut(network) {
                *slot = value.clone();
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn holds_what_a_list_holds(values in prop::collection::vec(0_u8..3, 1..20), usual in 0_usize..20) {
            let per_network = PerNetwork::new(&values, usual % values.len());
            prop_assert_eq!(per_network.to_vec(values.len()), values.clone());
            for (network, value) in values.iter().enumerate() {
                prop_assert_eq!(per_network.get(network), value);
            }
            let differing = values.iter().filter(|value| **value != *per_network.usual()).count();
            prop_assert_eq!(per_network.others().count(), differing);
        }
    }
}
