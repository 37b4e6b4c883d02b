//! The settings of a dataflow, and which worker owns what.

/// The usual period of performance values, in microseconds.
pub const PERFORMANCE_PERIOD_US: i64 = 10_000_000;

/// The settings of a dataflow. All its processes have the same settings, except for their number.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Worker threads of each process.
    pub workers: usize,
    /// How many processes make up the dataflow.
    pub processes: usize,
    /// The number of this process, from 0.
    pub process: usize,
    /// Partitions of `decisions` and of `performance`.
    pub output_partitions: u32,
    /// Performance values at the first tick at or after each multiple of this, in microseconds.
    pub performance_period_us: i64,
    /// A checkpoint at the first tick at or after each multiple of this, in microseconds, if anything was read since the last
    /// one or an hour begins; `None` for no checkpoints.
    pub checkpoint_period_us: Option<i64>,
}

impl Config {
    /// The workers of all processes.
    pub(crate) fn workers_total(&self) -> usize {
        self.workers * self.processes
    }

    /// The worker that owns a partition or a logical shard, counted over all processes. The process that owns it does not
    /// depend on the number of workers, so a part of a checkpoint always holds the same shards.
    #[must_use]
    pub fn owner(&self, number: u32) -> usize {
        let number = number as usize;
        number % self.processes * self.workers + number / self.processes % self.workers
    }

    /// The first worker of this process.
    #[must_use]
    pub fn first_worker(&self) -> usize {
        self.process * self.workers
    }

    /// The index, among the workers of this process, of the worker that owns a partition; `None` if another process owns it.
    #[must_use]
    pub fn local_owner(&self, partition: u32) -> Option<usize> {
        self.owner(partition).checked_sub(self.first_worker()).filter(|local| *local < self.workers)
    }
}
