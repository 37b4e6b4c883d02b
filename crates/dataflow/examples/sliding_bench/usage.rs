//! What threads and the process use, from Linux's /proc.

use std::path::Path;
use std::time::Duration;

/// User and system time of the only thread of this process so far.
pub(crate) fn own_time() -> Duration {
    used(Path::new("/proc/thread-self"))
}

/// User and system time of the thread of the dataflow's only worker.
pub(crate) fn worker_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
    let is_worker = |thread: &Path| {
        std::fs::read_to_string(thread.join("comm")).is_ok_and(|name| name == "timely:work-0\n")
    };
    used(&threads.into_iter().find(|thread| is_worker(thread)).unwrap())
}

fn used(thread: &Path) -> Duration {
    let text = std::fs::read_to_string(thread.join("schedstat")).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}
