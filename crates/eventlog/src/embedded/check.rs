//! Checking a whole log: the checksum of every page of the store and of every block.

use std::path::Path;

use super::read::TopicPartition;
use super::rows::Span;
use super::store::{BLOCKS, Store, guarded};
use super::topics::Topic;
use crate::LogError;
use crate::block::Block;

/// The maximum number of damages that a report lists.
const DAMAGES_MAX: usize = 1_000;
/// The number of bytes between two calls of the progress callback.
const PROGRESS_BYTES: u64 = 16 * 1024 * 1024;

/// The progress of [`check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckProgress {
    /// What is being checked.
    pub phase: CheckPhase,
    /// How many bytes of this phase have been checked.
    pub bytes_done: u64,
    /// How many bytes this phase checks.
    pub bytes_total: u64,
}

/// The phases of [`check`], in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckPhase {
    /// The records of every partition.
    Records,
    /// The pages of the file. This phase reports its begin and its end only.
    Pages,
}

/// The result of [`check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The number of topics.
    pub topics: usize,
    /// The number of intact blocks.
    pub blocks: u64,
    /// The number of readable records.
    pub records: u64,
    /// The size of all blocks in bytes.
    pub bytes: u64,
    /// The number of damaged places in partitions.
    pub damages_count: u64,
    /// The first 1,000 of them.
    pub damages: Vec<Damage>,
    /// The state of the pages of the file.
    pub pages: PageCheck,
}

impl CheckReport {
    /// Returns whether nothing is damaged.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.damages_count == 0 && !matches!(self.pages, PageCheck::Damaged(_))
    }
}

/// Records that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The first offset that cannot be read.
    pub offset: u64,
}

/// The state of the pages of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageCheck {
    /// All checksums are correct.
    Intact,
    /// All checksums are correct. The list of free pages was wrong and has been repaired.
    Repaired,
    /// A checksum is wrong, for this reason.
    Damaged(String),
    /// The file cannot be written, so that only the records were checked.
    NotChecked,
}

/// Checks all of the log in a folder. Reads the whole file twice, so this takes time in proportion to its size. No other
/// process may have the log open.
///
/// # Errors
/// Those of [`super::EmbeddedLog::open_to_read`]. Damaged records are no error; the report lists them.
pub fn check(
    folder: impl AsRef<Path>,
    progress: &mut dyn FnMut(CheckProgress),
) -> Result<CheckReport, LogError> {
    let mut store = Store::open_to_read(folder.as_ref())?;
    let topics = store.load_topics()?.all();
    let spans =
        topics.iter().flat_map(|topic| (0..topic.partitions()).map(|partition| topic.span(partition)));
    let bytes_total = spans.map(|span| span.bytes).sum();
    let report = CheckReport {
        topics: topics.len(),
        blocks: 0,
        records: 0,
        bytes: 0,
        damages_count: 0,
        damages: Vec::new(),
        pages: PageCheck::Intact,
    };
    let mut run = Check { store: &store, report, bytes_total, bytes_reported: 0, progress };
    run.report_progress();
    for topic in &topics {
        for partition in 0..topic.partitions() {
            run.check_partition(topic, partition);
        }
    }
    run.report_progress();
    let Check { mut report, .. } = run;
    let bytes_total = store.file_bytes();
    progress(CheckProgress { phase: CheckPhase::Pages, bytes_done: 0, bytes_total });
    report.pages = if store.is_read_only() {
        PageCheck::NotChecked
    } else {
        match store.check_pages() {
            Ok(true) => PageCheck::Intact,
            Ok(false) => PageCheck::Repaired,
            Err(reason) => PageCheck::Damaged(reason),
        }
    };
    progress(CheckProgress { phase: CheckPhase::Pages, bytes_done: bytes_total, bytes_total });
    Ok(report)
}

struct Check<'a> {
    store: &'a Store,
    report: CheckReport,
    bytes_total: u64,
    bytes_reported: u64,
    progress: &'a mut dyn FnMut(CheckProgress),
}

impl Check<'_> {
    fn report_progress(&mut self) {
        self.bytes_reported = self.report.bytes;
        let (bytes_done, bytes_total) = (self.report.bytes, self.bytes_total);
        (self.progress)(CheckProgress { phase: CheckPhase::Records, bytes_done, bytes_total });
    }

    fn check_partition(&mut self, topic: &Topic, partition: u32) {
        let span = topic.span(partition);
        let at = TopicPartition { topic, partition };
        let mut next = span.start;
        // The store may panic on damaged pages.
        let walked = guarded(|| self.walk(at, span, &mut next));
        if !matches!(walked, Ok(Ok(()))) || next < span.end {
            self.damage(at, next);
        }
    }

    /// Checks the blocks of a partition. `next` is the offset up to which they have been checked.
    fn walk(&mut self, at: TopicPartition<'_>, span: Span, next: &mut u64) -> Result<(), redb::Error> {
        let (topic, partition) = (at.topic.id, at.partition);
        let snapshot = self.store.snapshot()?;
        let blocks = snapshot.open_table(BLOCKS)?;
        for row in blocks.range((topic, partition, 0)..=(topic, partition, u64::MAX))? {
            let (key, stored) = row?;
            let key = key.value();
            let block = Block::open(key, stored.value()).filter(|block| {
                // The first block may begin before the start.
                let joins = block.first == *next || (block.first < *next && *next == span.start);
                joins && block.next > *next && block.records().all(|record| record.is_some())
            });
            self.report.bytes += stored.value().len() as u64;
            match block {
                Some(block) => {
                    self.report.blocks += 1;
                    self.report.records += block.next - *next;
                    *next = block.next;
                }
                None => {
                    self.damage(at, *next);
                    // Continue after the damaged block, so that one damage is reported once.
                    *next =
                        crate::block::block_next(key, stored.value()).map_or(*next, |after| after.max(*next));
                }
            }
            if self.report.bytes - self.bytes_reported >= PROGRESS_BYTES {
                self.report_progress();
            }
        }
        Ok(())
    }

    fn damage(&mut self, at: TopicPartition<'_>, offset: u64) {
        self.report.damages_count += 1;
        if self.report.damages.len() < DAMAGES_MAX {
            let (topic, partition) = (at.topic.name.clone(), at.partition);
            self.report.damages.push(Damage { topic, partition, offset });
        }
    }
}
