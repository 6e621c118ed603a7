//! What the machine, or the cgroup of the container, allows: memory for the budget, threads to work with.

use std::path::{Path, PathBuf};

/// The memory budget where no cgroup sets a limit.
const WITHOUT_LIMIT: u64 = 256 << 20;

/// Most workers where no cgroup sets a quota: an agent is a guest on its node.
const MOST_WORKERS: usize = 4;

/// What this process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The memory budget: 80 % of the cgroup's limit.
    pub memory: u64,
    /// Threads that read and transform.
    pub workers: usize,
}

impl Limits {
    /// Reads the limits of this process's cgroup, version 2 or 1.
    pub fn detect() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cgroup = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::of(Path::new("/sys/fs/cgroup"), &cgroup, cores)
    }

    fn of(root: &Path, cgroup: &str, cores: usize) -> Self {
        let memory = folders(root, cgroup, "memory")
            .filter_map(|folder| number(&folder, "memory.max").or_else(|| number(&folder, "memory.limit_in_bytes")))
            // Version 1 says "no limit" by a number near the largest there is.
            .filter(|&limit| limit < 1 << 60)
            .min();
        let quota = folders(root, cgroup, "cpu").filter_map(|folder| quota(&folder)).reduce(f64::min);
        Self {
            memory: memory.map_or(WITHOUT_LIMIT, |limit| limit / 5 * 4),
            workers: quota.map_or(cores.min(MOST_WORKERS), |quota| (quota.ceil() as usize).clamp(1, cores)),
        }
    }
}

/// Raises the limit of open files as far as the process may: every log that is read is one, and the usual
/// limit is made for interactive programs.
pub fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files stays low");
        }
    }
}

/// Folders of the process's cgroup for a controller and of all its parents: the tightest limit holds.
fn folders(root: &Path, cgroup: &str, controller: &str) -> impl Iterator<Item = PathBuf> {
    let mut found = vec![root.to_owned(), root.join(controller)];
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let base = match controllers {
            "" => root.to_owned(),
            list if list.split(',').any(|c| c == controller) => root.join(controller),
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        found.extend(path.ancestors().filter(|p| !p.as_os_str().is_empty()).map(|p| base.join(p)));
    }
    found.into_iter()
}

fn number(folder: &Path, file: &str) -> Option<u64> {
    std::fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

/// Cores that the folder's quota allows: `cpu.max` of version 2, `cpu.cfs_*` of version 1.
fn quota(folder: &Path) -> Option<f64> {
    let of = |quota: f64, period: f64| (quota > 0.0 && period > 0.0).then_some(quota / period);
    if let Ok(text) = std::fs::read_to_string(folder.join("cpu.max")) {
        let (quota, period) = text.trim().split_once(' ')?;
        return of(quota.parse().ok()?, period.parse().ok()?);
    }
    let file = |name| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse::<f64>().ok();
    of(file("cpu.cfs_quota_us")?, file("cpu.cfs_period_us")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("has a folder")).expect("creates");
            std::fs::write(path, text).expect("writes");
        }
    }

    #[test]
    fn the_tightest_limit_of_version_2_holds() {
        let root = tempfile::tempdir().expect("a folder");
        write(
            root.path(),
            &[
                ("kubepods/memory.max", "1000000000\n"),
                ("kubepods/pod1/memory.max", "max\n"),
                ("kubepods/pod1/c1/memory.max", "500000000\n"),
                ("kubepods/pod1/c1/cpu.max", "150000 100000\n"),
            ],
        );
        let limits = Limits::of(root.path(), "0::/kubepods/pod1/c1\n", 8);
        assert_eq!(limits, Limits { memory: 400_000_000, workers: 2 });
    }

    #[test]
    fn version_1_and_no_limit() {
        let root = tempfile::tempdir().expect("a folder");
        write(
            root.path(),
            &[
                ("memory/a/memory.limit_in_bytes", "9223372036854771712\n"),
                ("cpu/a/cpu.cfs_quota_us", "-1\n"),
                ("cpu/a/cpu.cfs_period_us", "100000\n"),
            ],
        );
        let limits = Limits::of(root.path(), "4:memory:/a\n3:cpu,cpuacct:/a\n", 8);
        assert_eq!(limits, Limits { memory: WITHOUT_LIMIT, workers: 4 });
    }
}
