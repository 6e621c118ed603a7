//! What an earlier process has left: found, cut where it is torn, set aside where it is unknown.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::cursor;
use super::segment::{Segment, Window, survey, walk};
use crate::data::UnixNanos;
use crate::delivery::files::Files;
use crate::formats::segment::{HEADER_LEN, Header, HeaderError};

/// A queue as it was left.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Its segments, oldest first.
    pub segments: VecDeque<Segment>,
    /// Every message up to this number is settled.
    pub settled: u64,
    /// The highest number that was given to a message.
    pub last: u64,
    /// Records, samples or spans that are not settled.
    pub records: u64,
    /// Bytes that damage has cost, and as many records in them as their heads still tell.
    pub lost_bytes: u64,
    /// See above.
    pub lost_records: u64,
    /// What had to be cut, or set aside, in words.
    pub complaints: Vec<String>,
}

/// Reads the folder, which is made if it is missing.
///
/// # Errors
/// Where the folder cannot be made, listed or changed. Nothing is lost then: it can be tried again.
pub fn recover(files: &dyn Files, folder: &Path) -> io::Result<Recovered> {
    files.make_folder(folder)?;
    let mut listed = files.list(folder)?;
    listed.sort();
    let mut found = Recovered::default();
    if listed.iter().any(|(name, _)| name == cursor::NAME) {
        found.read_cursor(files, folder)?;
    }
    let mut numbered: Vec<_> =
        listed.iter().filter_map(|(name, bytes)| Some((Segment::number(name)?, *bytes))).collect();
    numbered.sort_unstable();
    found.last = found.settled;
    let newest = numbered.last().map(|(first, _)| *first);
    for (first, bytes) in numbered {
        found.add(files, folder, first, bytes, newest == Some(first))?;
    }
    Ok(found)
}

impl Recovered {
    fn read_cursor(&mut self, files: &dyn Files, folder: &Path) -> io::Result<()> {
        let path = folder.join(cursor::NAME);
        let mut bytes = [0; 64];
        let read = files.open(&path)?.read_at(&mut bytes, 0)?;
        match cursor::decode(&bytes[..read]) {
            Ok(settled) => self.settled = settled,
            Err(why) => {
                let aside = self.set_aside(files, &path, why)?;
                self.complaints.push(format!("{aside}; what was delivered before is sent again"));
            }
        }
        Ok(())
    }

    fn add(&mut self, files: &dyn Files, folder: &Path, first: u64, bytes: u64, newest: bool) -> io::Result<()> {
        let mut segment = Segment::new(first, UnixNanos::NONE);
        let path = segment.path(folder);
        let mut window = Window::open(files, &path)?;
        let header = Header::read(window.bytes(0, HEADER_LEN, bytes)?);
        let why = match header {
            Ok(header) if header.first == first => {
                segment.created = header.created;
                // Numbers below its first were given, whether their records are still readable or not.
                self.last = self.last.max(first - 1);
                None
            }
            Ok(_) => Some("has the name of another segment".to_owned()),
            // The process ended before it had written the first record.
            Err(HeaderError::Damaged | HeaderError::Magic) if bytes <= HEADER_LEN as u64 => {
                return files.remove(&path);
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = why {
            let aside = self.set_aside(files, &path, &why)?;
            self.complaints.push(aside);
            return Ok(());
        }
        // A crash can have torn only what was written last.
        segment.bytes = walk(&mut window, first, bytes, newest, |head| {
            segment.last = head.sequence;
            if head.sequence > self.last {
                self.last = head.sequence;
                self.records += u64::from(head.count);
            }
        })?;
        let torn = bytes - segment.bytes;
        if torn > 0 {
            let left = survey(&mut window, segment.bytes, bytes, segment.last + 1)?;
            if newest {
                files.truncate(&path, segment.bytes)?;
            }
            let shown = path.display();
            // What was torn had not been told to be safe. Behind a whole record nothing was torn.
            self.complaints.push(if newest && !left.whole {
                format!("the last {torn} bytes of {shown} were not whole and are cut off")
            } else {
                let records = left.records(|sequence| sequence > self.settled);
                self.lost_bytes += torn;
                self.lost_records += records;
                format!("{shown} is damaged: its last {torn} bytes are lost, and with them {records} records or more")
            });
        }
        self.segments.push_back(segment);
        Ok(())
    }

    fn set_aside(&self, files: &dyn Files, path: &Path, why: &str) -> io::Result<String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = path.with_file_name(format!("{name}.unreadable-{}", UnixNanos::now().seconds()));
        files.rename(path, &aside)?;
        Ok(format!("{} {why}; it was set aside as {}", path.display(), aside.display()))
    }
}
