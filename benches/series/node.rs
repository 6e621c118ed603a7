//! What a node exporter says of a machine, scrape after scrape: constants, counters of seconds, bytes and events, gauges of
//! memory, durations, in about the shares that a machine with eight processors has them.

use std::sync::Arc;

use tailwater::data::series_table::{FamilyId, ListBuilder, SeriesList};
use tailwater::data::{LabelSet, MetricBatch, MetricBuilder, SeriesTable, UnixMillis};

/// How the values of a series go.
#[derive(Clone, Copy)]
enum Course {
    /// They stay: a size, an info, a counter of errors.
    Constant,
    /// Seconds with two digits that go up by so many hundredths a scrape, more or less.
    Seconds { by: u64, more: u64 },
    /// Bytes that go up by something, now and then by much.
    Bytes { by: u64 },
    /// Events that go up by a few, or by none.
    Events { by: u64 },
    /// An event now and then.
    Rare,
    /// Memory, in pages that come and go.
    Pages { by: u64 },
    /// A gauge with two digits.
    Load,
    /// How long something took, with nine digits.
    Duration,
    /// The time of the machine, with all digits.
    Clock,
}

/// A machine.
pub struct Node {
    courses: Vec<(Course, u64)>,
    random: fastrand::Rng,
    /// The series, in the order of the values.
    pub list: Arc<SeriesList>,
    time: i64,
    late: Late,
}

/// How late scrapes are. Those within 2 ms of their plan have the time of the plan.
#[derive(Clone, Copy, Debug)]
pub enum Late {
    /// Never.
    Never,
    /// One of ten, by up to 30 ms.
    Sometimes,
    /// Always, by up to so many milliseconds.
    Always(i64),
}

/// Time between two scrapes, in milliseconds.
pub const INTERVAL: i64 = 15_000;

impl Node {
    /// A machine of a number.
    pub fn new(table: &Arc<SeriesTable>, number: usize, late: Late) -> Self {
        let (mut courses, mut builder) = (Vec::new(), ListBuilder::default());
        let mut add = |metric: &str, label: &str, count: usize, course: Course| {
            for value in 0..count {
                let (instance, value) = (format!("10.0.{}.{}:9100", number / 250, number % 250), value.to_string());
                let labels = [("__name__", metric), ("instance", &instance), ("job", "node"), (label, &value)];
                builder.labels(&labels.into_iter().collect::<LabelSet>(), FamilyId::default());
                courses.push(course);
            }
        };
        add("node_cpu_idle_seconds_total", "cpu", 8, Course::Seconds { by: 1450, more: 40 });
        add("node_cpu_user_seconds_total", "cpu", 16, Course::Seconds { by: 20, more: 40 });
        add("node_cpu_irq_seconds_total", "cpu", 24, Course::Seconds { by: 0, more: 2 });
        add("node_cpu_steal_seconds_total", "cpu", 24, Course::Constant);
        add("node_network_bytes_total", "device", 20, Course::Bytes { by: 400_000 });
        add("node_disk_bytes_total", "device", 20, Course::Bytes { by: 100_000 });
        add("node_network_packets_total", "device", 20, Course::Events { by: 800 });
        add("node_disk_ops_total", "device", 40, Course::Events { by: 60 });
        add("node_vmstat", "field", 60, Course::Events { by: 2000 });
        add("node_netstat", "field", 80, Course::Rare);
        add("node_schedstat_seconds_total", "cpu", 24, Course::Events { by: 90_000 });
        add("node_memory_bytes", "field", 45, Course::Pages { by: 300 });
        add("node_filesystem_avail_bytes", "device", 20, Course::Pages { by: 3 });
        add("node_load", "over", 6, Course::Load);
        add("node_scrape_collector_duration_seconds", "collector", 40, Course::Duration);
        add("node_time_seconds", "clock", 3, Course::Clock);
        add("node_other", "what", 350, Course::Constant);
        let mut random = fastrand::Rng::with_seed(number as u64);
        let mut begin = || {
            let most = 1 << random.u32(1..36);
            random.u64(0..most)
        };
        let courses = courses.into_iter().map(|course| (course, begin())).collect();
        Self { courses, random, list: table.list(&builder).list, time: 1_795_392_000_000, late }
    }

    /// The next scrape.
    pub fn scrape(&mut self) -> MetricBatch {
        self.time += INTERVAL;
        let mut builder = MetricBuilder::new();
        let random = &mut self.random;
        let late = match self.late {
            Late::Sometimes if random.u8(..10) == 0 => random.i64(3..=30),
            Late::Never | Late::Sometimes => 0,
            Late::Always(most) => random.i64(0..=most),
        };
        builder.samples().time = UnixMillis(self.time + late);
        builder.samples().values.extend(self.courses.iter_mut().map(|(course, state)| match *course {
            Course::Constant => *state as f64,
            Course::Seconds { by, more } => {
                *state += by + random.u64(0..=more);
                *state as f64 / 100.0
            }
            Course::Bytes { by } => {
                let burst = if random.u8(..8) == 0 { by * 20 } else { by };
                *state += random.u64(0..=burst);
                *state as f64
            }
            Course::Events { by } => {
                *state += if random.u8(..3) == 0 { random.u64(0..=by) } else { random.u64(0..=by / 8) };
                *state as f64
            }
            Course::Rare => {
                *state += u64::from(random.u8(..20) == 0);
                *state as f64
            }
            Course::Pages { by } => {
                if random.u8(..4) > 0 {
                    *state = (*state + random.u64(0..=by)).saturating_sub(by / 2);
                }
                *state as f64 * 4096.0
            }
            Course::Load => {
                *state = (*state % 400 + random.u64(0..=20)).saturating_sub(10);
                *state as f64 / 100.0
            }
            Course::Duration => random.u64(200_000..900_000) as f64 / 1e9,
            Course::Clock => self.time as f64 / 1e3 + random.f64(),
        }));
        builder.build(Arc::default(), self.list.clone())
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.courses.len()
    }
}
