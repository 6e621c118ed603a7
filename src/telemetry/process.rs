//! Metrics of the process by the names that Prometheus's client libraries give them, read from `/proc`
//! (proc(5)) when somebody asks.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, IntGauge};

/// Reads `/proc/self` at each collection.
pub(super) struct Process {
    cpu: Counter,
    resident: IntGauge,
    virtual_memory: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
    start: Gauge,
}

/// What `/proc/self/stat` says, in its own units.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: i64,
    start_ticks: u64,
    virtual_bytes: i64,
    resident_pages: i64,
}

impl Process {
    pub fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            cpu: Counter::new("process_cpu_seconds_total", "Processor time spent, user and system.")?,
            resident: IntGauge::new("process_resident_memory_bytes", "Resident memory.")?,
            virtual_memory: IntGauge::new("process_virtual_memory_bytes", "Virtual memory.")?,
            open_fds: IntGauge::new("process_open_fds", "Open file descriptors.")?,
            max_fds: IntGauge::new("process_max_fds", "Most file descriptors that may be open.")?,
            threads: IntGauge::new("process_threads", "Threads.")?,
            start: Gauge::new("process_start_time_seconds", "When the process started, since the Unix epoch.")?,
        })
    }

    /// Reads what it can; what cannot be read keeps its last value.
    fn read(&self) {
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let text = |path| std::fs::read_to_string(path).ok();
        if let Some(stat) = text("/proc/self/stat").as_deref().and_then(Stat::parse) {
            let page = i64::try_from(rustix::param::page_size()).unwrap_or(4096);
            self.cpu.inc_by((stat.cpu_ticks as f64 / ticks - self.cpu.get()).max(0.0));
            self.resident.set(stat.resident_pages * page);
            self.virtual_memory.set(stat.virtual_bytes);
            self.threads.set(stat.threads);
            if let Some(boot) = text("/proc/stat").as_deref().and_then(boot_time) {
                self.start.set(boot as f64 + stat.start_ticks as f64 / ticks);
            }
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            // The folder's own descriptor is one of them.
            self.open_fds.set(i64::try_from(open.count()).unwrap_or(i64::MAX) - 1);
        }
        if let Some(most) = text("/proc/self/limits").as_deref().and_then(open_files_limit) {
            self.max_fds.set(most);
        }
    }

    fn gauges(&self) -> [&dyn Collector; 7] {
        let Self { cpu, resident, virtual_memory, open_fds, max_fds, threads, start } = self;
        [cpu, resident, virtual_memory, open_fds, max_fds, threads, start]
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read();
        self.gauges().into_iter().flat_map(Collector::collect).collect()
    }
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses and may hold anything; the third follows
        // the last parenthesis.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let signed = |number: usize| fields.get(number - 3)?.parse::<i64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: signed(20)?,
            start_ticks: field(22)?,
            virtual_bytes: signed(23)?,
            resident_pages: signed(24)?,
        })
    }
}

fn boot_time(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The soft limit; unlimited where it is no number.
fn open_files_limit(limits: &str) -> Option<i64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    Some(line.split_ascii_whitespace().next()?.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 5 0 900 8192 33 18446744073709551615 1";
        let expected = Stat { cpu_ticks: 42, threads: 5, start_ticks: 900, virtual_bytes: 8192, resident_pages: 33 };
        assert_eq!(Stat::parse(text), Some(expected));
    }

    #[test]
    fn this_process_is_alive() {
        let process = Process::new().expect("valid names");
        process.read();
        assert!(process.resident.get() > 1 << 20);
        assert!(process.open_fds.get() > 2 && process.open_fds.get() < process.max_fds.get());
        let age = crate::data::UnixNanos::now().seconds() as f64 - process.start.get();
        assert!((-2.0..3600.0).contains(&age), "started {age} s ago");
    }
}
