//! Stories: a rule told as a small text file in `tests/stories/`, with provisioning, a timeline of measurements and
//! changes, and what is expected of them. `tests/stories/README.md` describes how to write one.
//!
//! ```text
//!                         ┌─ core: decide, apply, Steering ───────────────────► decisions ──────────┐
//!  text ─ parse ─► Story ─┼─ dataflow: ticks and records ──► frames ──────────► decisions, answers ─┼─ compare
//!                         └─ live: a log folder ──► `spillway up` ──► DNS, log ► decisions, answers ─┘
//! ```
#![allow(clippy::unwrap_used, reason = "for tests, which stop where something fails")]

mod agreement;
mod answers;
mod compare;
mod core;
mod dataflow;
mod decided;
mod live;
mod parse;
mod provisioning;
mod script;
mod story;

use std::path::Path;

pub use self::compare::Difference;
pub use self::parse::Mistake;
pub use self::story::Story;

/// What derives the decisions of a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// The functions of `spillway-provisioning` and `spillway-steering`, called tick by tick. It gives no answers.
    Core,
    /// The dataflow, fed with ticks and encoded records, with the table that its snapshots make.
    Dataflow,
    /// The real binary: `spillway up` on a log folder that holds the story's records and ticks. It is asked the queries of
    /// the story's last moment.
    Live,
}

impl Story {
    /// Reads a story.
    ///
    /// # Errors
    /// The first line that is not understood.
    pub fn parse(file: &str, text: &str) -> Result<Self, Mistake> {
        parse::parse(file, text)
    }

    /// Every story of a folder, by file name.
    ///
    /// # Errors
    /// The first line that is not understood.
    ///
    /// # Panics
    /// When a file cannot be read.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>, Mistake> {
        let entries =
            std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "story"));
        paths.sort();
        let read = |path: &std::path::PathBuf| {
            let text =
                std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            Self::parse(&format!("tests/stories/{}", path.file_name().unwrap().display()), &text)
        };
        paths.iter().map(read).collect()
    }

    /// Where a layer differs from what the story expects.
    #[must_use]
    pub fn differences(&self, layer: Layer) -> Vec<Difference> {
        let (script, got) = match layer {
            Layer::Core => {
                let script = script::Script::new(self, script::BASE);
                let got = core::run(&script);
                (script, got)
            }
            Layer::Dataflow => {
                let script = script::Script::new(self, script::BASE);
                let got = dataflow::run(self, &script);
                (script, got)
            }
            Layer::Live => live::run(self),
        };
        compare::compare(self, layer, &script, &got)
    }
}
