//! A container's log on disk as the kubelet and a CRI runtime keep it: `/var/log/pods`, the links in
//! `/var/log/containers`, lines split into `P` and `F` (kubernetes/design-proposals-archive,
//! node/kubelet-cri-logging.md), and rotation by renaming (kubernetes/kubernetes,
//! pkg/kubelet/logs/container_log_manager.go).

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::data::UnixNanos;
use crate::formats::container::Stream;

/// Most bytes of a container's line in one line of its log; containerd's default.
pub const FRAGMENT: usize = 16 * 1024;

/// Rotated files kept beside the one being written; the kubelet's default keeps five files in all.
const KEPT: usize = 4;

/// Which container it is.
#[derive(Clone, Debug)]
pub struct Container {
    /// The pod's namespace.
    pub namespace: &'static str,
    /// The pod's name.
    pub pod: String,
    /// The pod's UID.
    pub uid: String,
    /// The container's name in the pod.
    pub name: &'static str,
    /// The runtime's id of the container: 64 hexadecimal digits.
    pub id: String,
}

/// The log of one running container.
#[derive(Debug)]
pub struct ContainerLog {
    folder: PathBuf,
    link: PathBuf,
    file: File,
    rotated: VecDeque<PathBuf>,
    line: Vec<u8>,
}

impl ContainerLog {
    /// Starts the log under `root`, which stands for `/` of the node.
    pub fn create(root: &Path, container: &Container) -> io::Result<Self> {
        let Container { namespace, pod, uid, name, id } = container;
        let folder = root.join("var/log/pods").join(format!("{namespace}_{pod}_{uid}")).join(name);
        let links = root.join("var/log/containers");
        fs::create_dir_all(&folder)?;
        fs::create_dir_all(&links)?;
        let file = open(&folder)?;
        let link = links.join(format!("{pod}_{namespace}_{name}-{id}.log"));
        symlink(folder.join(CURRENT), &link)?;
        Ok(Self { folder, link, file, rotated: VecDeque::new(), line: Vec::new() })
    }

    /// Writes one line of the container's; returns in how many lines of the log it stands.
    pub fn write(&mut self, time: UnixNanos, stream: Stream, text: &str) -> io::Result<usize> {
        self.line.clear();
        let fragments = fragments(text);
        for &(part, last) in &fragments {
            header(time, stream, last, &mut self.line);
            self.line.extend_from_slice(part);
            self.line.push(b'\n');
        }
        self.file.write_all(&self.line)?;
        Ok(fragments.len())
    }

    /// [`Self::write`], with a rotation at `now` behind the first line of several.
    pub fn write_across_rotation(
        &mut self,
        time: UnixNanos,
        stream: Stream,
        text: &str,
        now: UnixNanos,
    ) -> io::Result<usize> {
        let fragments = fragments(text);
        for (number, &(part, last)) in fragments.iter().enumerate() {
            if number == 1 {
                self.rotate(now)?;
            }
            self.line.clear();
            header(time, stream, last, &mut self.line);
            self.line.extend_from_slice(part);
            self.line.push(b'\n');
            self.file.write_all(&self.line)?;
        }
        Ok(fragments.len())
    }

    /// Rotates the log as the kubelet does: the file gets the time behind its name, a new one takes its
    /// place, the oldest goes.
    pub fn rotate(&mut self, now: UnixNanos) -> io::Result<()> {
        let aside = self.folder.join(format!("{CURRENT}.{}", stamp(now)));
        fs::rename(self.folder.join(CURRENT), &aside)?;
        self.file = open(&self.folder)?;
        self.rotated.push_back(aside);
        if self.rotated.len() > KEPT
            && let Some(oldest) = self.rotated.pop_front()
        {
            fs::remove_file(oldest)?;
        }
        Ok(())
    }

    /// Where the log and its rotated files are.
    #[cfg(test)]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Deletes everything, as happens when the pod is deleted.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.link)?;
        fs::remove_dir_all(self.folder.parent().unwrap_or(&self.folder))
    }
}

/// The file being written, for the first run of a container.
const CURRENT: &str = "0.log";

fn open(folder: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).open(folder.join(CURRENT))
}

/// The parts of a line, and whether each is the last.
fn fragments(text: &str) -> Vec<(&[u8], bool)> {
    let count = text.len().div_ceil(FRAGMENT).max(1);
    let part = |number: usize| {
        let end = text.len().min((number + 1) * FRAGMENT);
        (&text.as_bytes()[number * FRAGMENT..end], number + 1 == count)
    };
    (0..count).map(part).collect()
}

fn header(time: UnixNanos, stream: Stream, last: bool, out: &mut Vec<u8>) {
    time.write_rfc3339(out);
    out.push(b' ');
    out.extend_from_slice(stream.name().as_bytes());
    out.extend_from_slice(if last { b" F " } else { b" P " });
}

/// `20261123-010203`, as the kubelet writes the time of a rotation.
fn stamp(now: UnixNanos) -> String {
    let mut text = Vec::new();
    now.write_rfc3339(&mut text);
    let digits = |range: std::ops::Range<usize>| text[range].iter().filter(|b| b.is_ascii_digit());
    let stamp = digits(0..10).chain(b"-").chain(digits(11..19)).copied().collect();
    String::from_utf8(stamp).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> Container {
        Container {
            namespace: "shop",
            pod: "web-1".into(),
            uid: "11111111-2222-3333-4444-555555555555".into(),
            name: "web",
            id: "a".repeat(64),
        }
    }

    #[test]
    fn a_long_line_is_split_and_may_be_split_across_a_rotation() {
        let root = tempfile::tempdir().expect("a folder");
        let mut log = ContainerLog::create(root.path(), &container()).expect("created");
        // 2026-11-23T01:02:03Z
        let time = UnixNanos::parse_rfc3339(b"2026-11-23T01:02:03.000000007Z").expect("a time");
        let text = format!("{}b", "a".repeat(2 * FRAGMENT));
        assert_eq!(log.write(time, Stream::Stdout, "short").expect("written"), 1);
        assert_eq!(log.write_across_rotation(time, Stream::Stderr, &text, time).expect("written"), 3);

        let folder = root.path().join("var/log/pods/shop_web-1_11111111-2222-3333-4444-555555555555/web");
        let before = fs::read_to_string(folder.join("0.log.20261123-010203")).expect("rotated aside");
        let link = root.path().join(format!("var/log/containers/web-1_shop_web-{}.log", "a".repeat(64)));
        let after = fs::read_to_string(&link).expect("the link leads to the new file");
        let before: Vec<_> = before.lines().collect();
        assert_eq!(before[0], "2026-11-23T01:02:03.000000007Z stdout F short");
        assert!(before[1].starts_with("2026-11-23T01:02:03.000000007Z stderr P aaa"), "{}", &before[1][..60]);
        assert_eq!(before.len(), 2);
        let after: Vec<_> = after.lines().collect();
        assert_eq!(after.last(), Some(&"2026-11-23T01:02:03.000000007Z stderr F b"));
        assert_eq!(after.len(), 2);

        log.remove().expect("removed");
        assert!(!link.exists() && !folder.exists());
    }

    #[test]
    fn five_files_are_kept() {
        let root = tempfile::tempdir().expect("a folder");
        let mut log = ContainerLog::create(root.path(), &container()).expect("created");
        for second in 0..9 {
            log.rotate(UnixNanos(second * 1_000_000_000)).expect("rotated");
        }
        let mut names: Vec<_> = fs::read_dir(&log.folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        let kept = ["05", "06", "07", "08"].map(|second| format!("0.log.19700101-0000{second}"));
        assert_eq!(names[0], "0.log");
        assert_eq!(names[1..], kept);
    }
}
