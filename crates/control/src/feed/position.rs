//! How far the log has been told.

use std::fmt;
use std::str::FromStr;

/// How far each topic-partition has been told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// `provisioning`, then the partitions of `decisions`; those that are missing have not been told at all.
    of: Vec<Told>,
}

/// How far one topic-partition has been told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The offset of the next record, or of the next frame's first one.
    pub(super) offset: u64,
    /// How many of its events have been told.
    pub(super) items: u64,
    /// The ticks of frames below this have been told, wherever their frames are.
    pub(super) tick: u64,
}

/// The text is not that of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the position of an event")]
pub struct BadPosition;

const VERSION: &str = "1";
/// The most topic-partitions in a text.
const PARTS_MAX: usize = 1_024;

impl Position {
    pub(super) fn provisioning(&self) -> Told {
        self.of.first().copied().unwrap_or_default()
    }

    pub(super) fn decisions(&self, partition: u32) -> Told {
        self.of.get(1 + partition as usize).copied().unwrap_or_default()
    }

    /// Sets it for one of `provisioning` and the partitions of `decisions`.
    pub(super) fn set(&mut self, index: usize, told: Told) {
        if self.of.len() <= index {
            self.of.resize(index + 1, Told::default());
        }
        if let Some(of) = self.of.get_mut(index) {
            *of = told;
        }
    }
}

/// Writes a version and `OFFSET.ITEMS.TICK` of each topic-partition.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VERSION)?;
        for Told { offset, items, tick } in &self.of {
            write!(f, ";{offset}.{items}.{tick}")?;
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let mut parts = text.split(';');
        if parts.next() != Some(VERSION) {
            return Err(BadPosition);
        }
        let of: Vec<Told> = parts.take(PARTS_MAX + 1).map(told).collect::<Option<_>>().ok_or(BadPosition)?;
        if of.len() > PARTS_MAX { Err(BadPosition) } else { Ok(Self { of }) }
    }
}

fn told(text: &str) -> Option<Told> {
    let mut numbers = text.split('.').map(|digits| {
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    });
    let told = Told { offset: numbers.next()??, items: numbers.next()??, tick: numbers.next()?? };
    numbers.next().is_none().then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_they_were_written() {
        let mut position = Position::default();
        position.set(2, Told { offset: 7, items: 2, tick: 9 });
        for position in [Position::default(), position] {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for bad in ["", "2", "1;", "1;1.2", "1;1.2.3.4", "1;+1.2.3", "1;a.2.3", "1;99999999999999999999.0.0"]
        {
            assert_eq!(bad.parse::<Position>(), Err(BadPosition), "{bad}");
        }
    }
}
