//! The plain loops over [`Windows`]: one over CSV rows that is measured, and one that follows ticks as the dataflow does.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::rows::{Row, Ticks};
use crate::windows::{Values, Windows};

/// How far behind the greatest event time a second is complete.
const COMPLETE_AFTER_MS: i64 = 1_000;
const BUFFER_BYTES: usize = 4 << 20;

/// Reads CSV rows; a value of each key each second of event time, once the second is complete, until all windows are empty.
pub(crate) fn slide(file: &Path) -> Values {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, File::open(file).unwrap());
    let (mut windows, mut values) = (Windows::new(), Values::default());
    let (mut line, mut first, mut closed, mut greatest_ms) = (Vec::new(), true, 0, 0);
    let mut close_through = |windows: &mut Windows, closed: &mut i64, last: i64| {
        while *closed < last {
            *closed += 1;
            windows.take_in(*closed);
            windows.expire(*closed);
            windows.emit(*closed, &mut values);
        }
    };
    while reader.read_until(b'\n', &mut line).unwrap() > 0 {
        line.pop();
        let comma = |byte: &u8| *byte == b',';
        let (first_comma, last_comma) =
            (line.iter().position(comma).unwrap(), line.iter().rposition(comma).unwrap());
        let (at_ms, response_time_us) = (number(&line[..first_comma]), number(&line[last_comma + 1..]));
        let (at_ms, key) = (at_ms.cast_signed(), &line[first_comma + 1..last_comma]);
        if first {
            // Rows that come later may be earlier.
            (first, closed) = (false, (at_ms - COMPLETE_AFTER_MS).div_euclid(1_000) - 1);
        }
        let index = windows.index(key);
        windows.collect(index, at_ms.div_euclid(1_000), response_time_us);
        if at_ms > greatest_ms {
            greatest_ms = at_ms;
            close_through(&mut windows, &mut closed, (at_ms - COMPLETE_AFTER_MS).div_euclid(1_000) - 1);
        }
        line.clear();
    }
    close_through(&mut windows, &mut closed, greatest_ms.div_euclid(1_000) + 60);
    values
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| 10 * number + u64::from(digit - b'0'))
}

/// What the dataflow must find: at the first tick of each period the value of each key over what was read by then.
pub(crate) fn as_read<const N: usize>(
    rows: impl Iterator<Item = (i64, Row)>,
    periods_s: [i64; N],
) -> [Values; N] {
    let mut windows = Windows::new();
    let mut values = [Values::default(); N];
    let mut before: Option<i64> = None;
    for (at, groups) in Ticks::new(rows) {
        let second = at.0.div_euclid(1_000_000);
        if before.is_some_and(|before| before != second) {
            windows.expire(second);
        }
        for row in groups.iter().flat_map(|group| &group.rows) {
            let index = windows.index(row.key().as_bytes());
            windows.add(index, row.at_ms.div_euclid(1_000), u64::from(row.response_time_us));
        }
        for (period_s, values) in periods_s.iter().zip(&mut values) {
            if before.map(|before| before.div_euclid(*period_s)) != Some(second.div_euclid(*period_s)) {
                windows.emit(second, values);
            }
        }
        before = Some(second);
    }
    values
}
