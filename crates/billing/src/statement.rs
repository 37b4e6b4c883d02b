//! Statements: their lines and digest, what is printed, corrections, and whether one can be sealed.

use std::collections::BTreeMap;

use spillway_events::{DecodeError, LineClass, LineId, Sha256, StatementLine, encode};

use crate::period::Span;

/// What a statement is sealed with: the digest and the sum of its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// SHA-256 over the single-object encodings of the lines, in the order of their ids.
    pub lines_sha256: Sha256,
    /// How many lines there are.
    pub lines: u64,
    /// The sum of their amounts, in the currency's minor unit.
    pub total_minor: i64,
}

/// Why a statement cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// A sum does not fit.
    #[error("the sum of the lines is beyond what can be computed")]
    TooGreat,
    /// A line cannot be encoded.
    #[error("a line cannot be encoded")]
    Line(#[from] DecodeError),
}

/// The digest of lines, whatever their order.
///
/// # Errors
/// If the sum does not fit, or a line cannot be encoded.
pub fn digest(lines: &[StatementLine]) -> Result<Digest, StatementError> {
    let mut lines: Vec<&StatementLine> = lines.iter().collect();
    lines.sort_unstable_by_key(|line| line.id);
    let mut encoded = Vec::new();
    let mut total_minor = 0_i64;
    for line in &lines {
        encoded.push(encode(*line)?);
        total_minor = total_minor.checked_add(line.amount_minor).ok_or(StatementError::TooGreat)?;
    }
    Ok(Digest { lines_sha256: Sha256::of_parts(&encoded), lines: lines.len() as u64, total_minor })
}

/// The statements of a client that are sealed and not voided: what was printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Printed {
    statements: BTreeMap<String, PrintedStatement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PrintedStatement {
    period: Span,
    lines: Vec<StatementLine>,
}

impl Printed {
    /// Adds the lines of a sealed statement, corrections included.
    pub fn seal(&mut self, statement: &str, period: Span, lines: Vec<StatementLine>) {
        self.statements.insert(statement.to_owned(), PrintedStatement { period, lines });
    }

    /// Takes out the lines of a statement that is voided. The next statement that seals its period prints it anew.
    pub fn void(&mut self, statement: &str) {
        self.statements.remove(statement);
    }

    /// The periods before another one that statements are of, in order.
    #[must_use]
    pub fn periods_before(&self, period: Span) -> Vec<Span> {
        let periods = self.statements.values().map(|statement| statement.period);
        let mut periods: Vec<Span> = periods.filter(|other| other.begin_ms < period.begin_ms).collect();
        periods.sort_unstable();
        periods.dedup();
        periods
    }

    /// The lines of a period that were printed, on whichever statement.
    pub fn lines_of(&self, period: Span) -> impl Iterator<Item = &StatementLine> {
        let lines = self.statements.values().flat_map(|statement| &statement.lines);
        lines.filter(move |line| line.begin_ms == period.begin_ms && line.end_ms == period.end_ms)
    }

    /// The lines of the next statement: those of its own period, then the corrections of earlier periods.
    ///
    /// `rated` are the lines of its period, and `rerate` rates an earlier period whole at the same cut. Attainments are not computed
    /// again: `rerate` takes the minutes that the period was first rated with, so that a credit changes only with its base.
    ///
    /// # Errors
    /// As `rerate`, or if a difference does not fit.
    pub fn next_lines<E: From<StatementError>>(
        &self,
        period: Span,
        rated: Vec<StatementLine>,
        mut rerate: impl FnMut(Span) -> Result<Vec<StatementLine>, E>,
    ) -> Result<Vec<StatementLine>, E> {
        let mut lines = rated;
        for earlier in self.periods_before(period) {
            lines.extend(corrections(self.lines_of(earlier), &rerate(earlier)?)?);
        }
        Ok(lines)
    }
}

/// The corrections of one period: what is printed, compared with the lines as they are now, by line id. What is gone is reversed, what
/// is new is printed, and of other lines the differences are, which are not rounded anew; nothing where quantity and amount are 0.
///
/// # Errors
/// If a difference does not fit.
pub fn corrections<'a>(
    printed: impl IntoIterator<Item = &'a StatementLine>,
    now: &[StatementLine],
) -> Result<Vec<StatementLine>, StatementError> {
    let mut changes: BTreeMap<LineId, StatementLine> = BTreeMap::new();
    for (sign, line) in printed.into_iter().map(|line| (-1, line)).chain(now.iter().map(|line| (1, line))) {
        let blank = StatementLine {
            class: LineClass::Correction,
            quantity: 0,
            amount_minor: 0,
            tax_minor: 0,
            ..line.clone()
        };
        let change = changes.entry(line.id).or_insert(blank);
        for (sum, number) in [
            (&mut change.quantity, line.quantity),
            (&mut change.amount_minor, line.amount_minor),
            (&mut change.tax_minor, line.tax_minor),
        ] {
            let signed = number.checked_mul(sign).ok_or(StatementError::TooGreat)?;
            *sum = sum.checked_add(signed).ok_or(StatementError::TooGreat)?;
        }
    }
    Ok(changes.into_values().filter(|line| line.quantity != 0 || line.amount_minor != 0).collect())
}

/// What a command to seal a statement says: everything that its author has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealAsked {
    /// The tick up to whose records everything counts.
    pub cut: u64,
    /// The head of the client's chain at the cut.
    pub head: Sha256,
    /// The digest of the lines.
    pub lines_sha256: Sha256,
}

/// What the one who seals has computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealComputed<'a> {
    /// The tick that reads the command.
    pub tick: u64,
    /// The tick that closed the last slot of the period; none if it is still open.
    pub closed_at: Option<u64>,
    /// The head of the client's chain at the cut; none if there are no records.
    pub head: Option<Sha256>,
    /// The digest of the lines at the cut.
    pub digest: Digest,
    /// What blocks sealing, such as unmapped bytes and faults.
    pub blocked_by: &'a [String],
}

/// Why a statement is not sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealRefusal {
    /// The period is not over, or its slots are not closed.
    #[error("the slots of the period are not closed yet")]
    Open,
    /// Slots of the period were closed after the cut.
    #[error("the cut at tick {cut} is before tick {closed_at}, which closed the last slot of the period")]
    EarlyCut {
        /// The cut.
        cut: u64,
        /// The tick that closed the last slot.
        closed_at: u64,
    },
    /// The cut is not over.
    #[error("the cut at tick {cut} is not before tick {tick}, which reads the command")]
    LateCut {
        /// The cut.
        cut: u64,
        /// The tick that reads the command.
        tick: u64,
    },
    /// The chain has another head.
    #[error(
        "the head of the chain at the cut is {computed}, not {asked}: the statement was made of other records"
    )]
    Head {
        /// The head in the command.
        asked: Sha256,
        /// The head by the log.
        computed: Sha256,
    },
    /// The lines are others.
    #[error(
        "the digest of the lines is {computed}, not {asked}: the statement was made of other terms or records"
    )]
    Lines {
        /// The digest in the command.
        asked: Sha256,
        /// The digest by the log.
        computed: Sha256,
    },
    /// Something has to be settled before.
    #[error("{}", .0.join("; "))]
    Blocked(Vec<String>),
}

/// Whether a statement can be sealed.
///
/// # Errors
/// With the first reason why not.
pub fn check_seal(asked: &SealAsked, computed: &SealComputed<'_>) -> Result<(), SealRefusal> {
    let SealAsked { cut, head, lines_sha256 } = *asked;
    let closed_at = computed.closed_at.ok_or(SealRefusal::Open)?;
    if cut < closed_at {
        return Err(SealRefusal::EarlyCut { cut, closed_at });
    }
    if cut >= computed.tick {
        return Err(SealRefusal::LateCut { cut, tick: computed.tick });
    }
    let computed_head = computed.head.unwrap_or(Sha256::ZERO);
    if head != computed_head {
        return Err(SealRefusal::Head { asked: head, computed: computed_head });
    }
    if lines_sha256 != computed.digest.lines_sha256 {
        return Err(SealRefusal::Lines { asked: lines_sha256, computed: computed.digest.lines_sha256 });
    }
    match computed.blocked_by {
        [] => Ok(()),
        blocks => Err(SealRefusal::Blocked(blocks.to_vec())),
    }
}
