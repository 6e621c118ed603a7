//! What a source of files says about which files there are.

use std::path::PathBuf;

use crate::data::Resource;

/// A log that exists now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path as it is shown, and as the log is known by: as matched, links not followed.
    pub path: PathBuf,
    /// The file itself, links followed. Rotated files are its siblings.
    pub target: PathBuf,
    /// Whether its writer has ended for good, as far as names tell: a later container took its place.
    pub ended: bool,
}

/// Lists logs. Does I/O; called where blocking is allowed, about once a second.
pub trait Discover: Send + 'static {
    /// Appends every log that exists now. A log that is left out counts as gone.
    ///
    /// # Errors
    /// In words, where not even a part of the answer could be had; everything known stays as it was.
    fn list(&mut self, found: &mut Vec<Found>) -> Result<(), String>;

    /// Folders in which new logs appear, for hints.
    fn folders(&self) -> Vec<PathBuf>;

    /// What the records of a log are about.
    fn resource(&self, found: &Found) -> Resource;

    /// The value of `log.file.path` in its records, if they have that attribute.
    fn shown_path(&self, found: &Found) -> Option<String>;
}
