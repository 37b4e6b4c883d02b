//! One transaction of the writer: it makes the work of many callers durable together.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::ErrorKind;
use std::sync::Arc;

use redb::{ReadableTable, Table, WriteTransaction};

use super::queue::{Done, Part, Work};
use super::read::{TopicPartition, first_block};
use super::rows::{Span, SpanRow, TopicRow, seal_span, seal_topic};
use super::store::{BLOCKS, PARTITIONS, Store, TOPICS};
use super::topics::{Topic, Topics};
use crate::block::{Block, Packed};
use crate::limits::BLOCK_BYTES_TARGET;
use crate::{Appended, LogError, TOPICS_MAX};

/// Does all the work in one durable transaction. `prepared` is set before the transaction is committed. After an error
/// the transaction may be durable only if `prepared` is set.
pub(super) fn commit(
    store: &Store,
    topics: &Topics,
    work: Vec<Work>,
    now_ms: u64,
    prepared: &mut Option<Prepared>,
) -> Result<(), Failure> {
    let transaction = store.begin_write()?;
    let mut commit = Commit::begin(&transaction, topics, now_ms)?;
    let answers = work.into_iter().map(|work| commit.run(work)).collect::<Result<Vec<_>, _>>()?;
    let changes = commit.finish()?;
    let is_empty = changes.spans.is_empty() && changes.created.is_empty();
    *prepared = Some(Prepared { answers, changes });
    if is_empty {
        transaction.abort()?;
    } else {
        transaction.commit()?;
    }
    Ok(())
}

/// A transaction that is about to be committed: its answers, in the order of the work, and its changes.
pub(super) struct Prepared {
    answers: Vec<Answer>,
    changes: Changes,
}

impl Prepared {
    /// Makes the changes visible to readers. Returns the answers.
    pub(super) fn publish(self, topics: &Topics) -> Vec<Answer> {
        for topic in self.changes.created {
            topics.add(topic);
        }
        for ((_, partition), tail) in self.changes.spans {
            tail.topic.publish(partition, tail.span);
        }
        self.answers
    }

    /// Returns whether topics that were read from the file contain the changes.
    pub(super) fn is_durable(&self, topics: &Topics) -> bool {
        let Changes { spans, created } = &self.changes;
        created.iter().all(|topic| topics.find(&topic.name).is_ok())
            && spans.iter().all(|((_, partition), tail)| {
                topics.find(&tail.topic.name).is_ok_and(|found| found.span(*partition) == tail.span)
            })
    }
}

/// A failed transaction.
pub(super) struct Failure {
    /// The store's error.
    pub(super) reason: String,
    /// What the operator can do.
    pub(super) hint: &'static str,
}

impl Failure {
    pub(super) fn of_panic(reason: String) -> Self {
        Self { reason, hint: HINT_DAMAGED }
    }
}

const HINT_FULL: &str = "free space on the disk; appends then succeed without a restart";
const HINT_DISK: &str =
    "check the disk and the kernel log; appends succeed without a restart once the disk can be written";
const HINT_DAMAGED: &str = "stop this process and check the file with `spillway log check`";

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let hint = match &error {
            redb::Error::Io(error) => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => HINT_FULL,
                _ => HINT_DISK,
            },
            redb::Error::Corrupted(_) => HINT_DAMAGED,
            _ => HINT_DISK,
        };
        Self { reason: error.to_string(), hint }
    }
}

struct Commit<'a> {
    topics: &'a Topics,
    topic_rows: Table<'a, &'static str, TopicRow>,
    span_rows: Table<'a, (u32, u32), SpanRow>,
    blocks: Table<'a, (u32, u32, u64), &'static [u8]>,
    changes: Changes,
    /// The time of the commit, for retention.
    now_ms: u64,
}

/// The changes of this commit outside the blocks.
struct Changes {
    /// By topic id and partition.
    spans: BTreeMap<(u32, u32), Tail>,
    created: Vec<Arc<Topic>>,
}

/// A partition that this commit appends to or truncates.
struct Tail {
    topic: Arc<Topic>,
    span: Span,
    /// The last records, which have not been written to a block yet.
    pending: Packed,
}

type Answer = Result<Done, LogError>;

impl<'a> Commit<'a> {
    fn begin(
        transaction: &'a WriteTransaction,
        topics: &'a Topics,
        now_ms: u64,
    ) -> Result<Self, redb::Error> {
        Ok(Self {
            topics,
            topic_rows: transaction.open_table(TOPICS)?,
            span_rows: transaction.open_table(PARTITIONS)?,
            blocks: transaction.open_table(BLOCKS)?,
            changes: Changes { spans: BTreeMap::new(), created: Vec::new() },
            now_ms,
        })
    }

    fn run(&mut self, work: Work) -> Result<Answer, redb::Error> {
        match work {
            Work::Append { parts } => {
                let offsets = parts.into_iter().map(|part| self.append(part)).collect::<Result<_, _>>()?;
                Ok(Ok(Done::Offsets(offsets)))
            }
            Work::AppendAt { topic, number, record } => self.append_at(topic, number, &record),
            Work::Create { topic, partitions } => self.create(&topic, partitions),
            Work::Truncate { topic, partition, offset } => self.truncate(&topic, partition, offset),
        }
    }

    /// Writes what is still pending, then the spans.
    fn finish(mut self) -> Result<Changes, redb::Error> {
        for ((id, partition), tail) in &mut self.changes.spans {
            write_pending(&mut self.blocks, (*id, *partition), tail, self.now_ms)?;
            self.span_rows.insert((*id, *partition), seal_span((*id, *partition), tail.span))?;
        }
        Ok(self.changes)
    }

    fn append(&mut self, Part { topic, partition, records }: Part) -> Result<u64, redb::Error> {
        let key = (topic.id, partition);
        if records.count == 0 {
            return Ok(self.span(&topic, partition).end);
        }
        let tail = tail_of(&mut self.changes.spans, topic, partition);
        if tail.pending.bytes.len() + records.bytes.len() > BLOCK_BYTES_TARGET {
            write_pending(&mut self.blocks, key, tail, self.now_ms)?;
        }
        let first = tail.span.end;
        tail.span.end += u64::from(records.count);
        if tail.pending.count == 0 {
            tail.pending = records;
        } else {
            tail.pending.join(&records);
        }
        Ok(first)
    }

    fn append_at(&mut self, topic: Arc<Topic>, number: u64, record: &[u8]) -> Result<Answer, redb::Error> {
        let Span { start, end, .. } = self.span(&topic, 0);
        if number > end {
            return Ok(Ok(Done::Decided(Appended::Lost { next: end })));
        }
        if number == end {
            let offset = self.append(Part { topic, partition: 0, records: Packed::of(&[record]) })?;
            return Ok(Ok(Done::Decided(Appended::Won(offset))));
        }
        let at = TopicPartition { topic: &topic, partition: 0 };
        if let Err(truncated) = at.check_span(number, start, end) {
            return Ok(Err(truncated));
        }
        self.write_pending_of(&topic, 0)?;
        Ok(match self.is_record(&topic, number, record)? {
            Some(true) => Ok(Done::Decided(Appended::Won(number))),
            Some(false) => Ok(Done::Decided(Appended::Lost { next: end })),
            None => Err(at.damaged(number)),
        })
    }

    /// Returns whether the record at an offset of partition 0 has these bytes, or `None` if it is damaged.
    fn is_record(&self, topic: &Topic, offset: u64, bytes: &[u8]) -> Result<Option<bool>, redb::Error> {
        let Some(first) = first_block(&self.blocks, topic.id, 0, offset)? else { return Ok(None) };
        let at = (topic.id, 0, first);
        let Some(stored) = self.blocks.get(at)? else { return Ok(None) };
        let Some(block) = Block::open(at, stored.value()) else { return Ok(None) };
        Ok(block.records().flatten().find(|(at, _)| *at == offset).map(|(_, found)| found == bytes))
    }

    fn create(&mut self, name: &str, partitions: u32) -> Result<Answer, redb::Error> {
        let earlier = self.changes.created.iter().find(|topic| topic.name == name).map(Arc::clone);
        if let Some(topic) = earlier.or_else(|| self.topics.find(name).ok()) {
            return Ok(topic.require_partitions(partitions).map(|()| Done::Nothing));
        }
        // Topics are never deleted, so their count is the next id.
        let count = self.topics.len() + self.changes.created.len();
        let id = match u32::try_from(count) {
            Ok(id) if count < TOPICS_MAX => id,
            _ => return Ok(Err(LogError::TooManyTopics { topic: name.to_owned() })),
        };
        self.topic_rows.insert(name, seal_topic(name, id, partitions))?;
        for partition in 0..partitions {
            self.span_rows.insert((id, partition), seal_span((id, partition), Span::default()))?;
        }
        self.changes.created.push(Arc::new(Topic::new(id, name, partitions)));
        Ok(Ok(Done::Nothing))
    }

    fn truncate(&mut self, topic: &Arc<Topic>, partition: u32, offset: u64) -> Result<Answer, redb::Error> {
        let Span { start, end, .. } = self.span(topic, partition);
        if offset <= start {
            return Ok(Ok(Done::Nothing));
        }
        let at = TopicPartition { topic, partition };
        if let Err(beyond) = at.check_span(offset, start, end) {
            return Ok(Err(beyond));
        }
        self.write_pending_of(topic, partition)?;
        // The block that holds the new start is kept whole.
        let keep_from =
            if offset == end { Some(end) } else { first_block(&self.blocks, topic.id, partition, offset)? };
        let Some(keep_from) = keep_from else { return Ok(Err(at.damaged(offset))) };
        let gone = (topic.id, partition, 0)..(topic.id, partition, keep_from);
        let mut bytes = 0;
        self.blocks.retain_in(gone, |_, block| {
            bytes += block.len() as u64;
            false
        })?;
        let tail = tail_of(&mut self.changes.spans, Arc::clone(topic), partition);
        tail.span.start = offset;
        tail.span.bytes = tail.span.bytes.saturating_sub(bytes);
        Ok(Ok(Done::Nothing))
    }

    /// Returns the span, including the changes of this commit so far.
    fn span(&self, topic: &Topic, partition: u32) -> Span {
        let tail = self.changes.spans.get(&(topic.id, partition));
        tail.map_or_else(|| topic.span(partition), |tail| tail.span)
    }

    fn write_pending_of(&mut self, topic: &Topic, partition: u32) -> Result<(), redb::Error> {
        let key = (topic.id, partition);
        match self.changes.spans.get_mut(&key) {
            Some(tail) => write_pending(&mut self.blocks, key, tail, self.now_ms),
            None => Ok(()),
        }
    }
}

fn tail_of(spans: &mut BTreeMap<(u32, u32), Tail>, topic: Arc<Topic>, partition: u32) -> &mut Tail {
    match spans.entry((topic.id, partition)) {
        Entry::Occupied(tail) => tail.into_mut(),
        Entry::Vacant(at) => {
            let span = topic.span(partition);
            at.insert(Tail { topic, span, pending: Packed::default() })
        }
    }
}

fn write_pending(
    blocks: &mut Table<'_, (u32, u32, u64), &'static [u8]>,
    (id, partition): (u32, u32),
    tail: &mut Tail,
    now_ms: u64,
) -> Result<(), redb::Error> {
    if tail.pending.count == 0 {
        return Ok(());
    }
    let key = (id, partition, tail.span.end - u64::from(tail.pending.count));
    let block = std::mem::take(&mut tail.pending).seal(key, now_ms);
    blocks.insert(key, block.as_slice())?;
    tail.span.bytes += block.len() as u64;
    Ok(())
}
