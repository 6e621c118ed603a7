//! Runs against the clock: 200 quiet containers, and 50 quiet ones beside one that never stops writing.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::agent::{Agent, Flow};
use crate::corpus::{Layout, Records};
use crate::throughput::{arrived, start_sink, summary};

/// What a run against the clock measured.
#[derive(Clone, Debug)]
pub struct Paced {
    /// Share of one core that the agent used after the first five seconds.
    pub cpu: f64,
    /// Most resident memory.
    pub peak_rss: u64,
    /// Bulk requests a second.
    pub requests: f64,
    /// Median time from the write of a line of a quiet container to its acceptance.
    pub p50: Duration,
    /// The same, 99th percentile.
    pub p99: Duration,
    /// Lines of quiet containers.
    pub lines: usize,
    /// Lines of the one that never stops, if there is one.
    pub loud: u64,
}

/// `files` containers with a line a second each, for `seconds`; with `loud`, one more that always has more.
pub fn run(flow: Flow, files: usize, loud: bool, seconds: u64, root: &Path) -> Result<Paced, Box<dyn Error>> {
    let folder = root.join("paced");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let layout = Layout::new(&folder);
    let mut quiet =
        (0..files).map(|index| File::create(layout.add_container(index)?)).collect::<Result<Vec<_>, _>>()?;
    let mut writer = loud.then(|| Loud::new(&layout, files)).transpose()?;
    let (sink, address) = start_sink(&folder, 0)?;
    let mut agent = Agent::start(flow, &folder, &layout.containers, &address)?;
    let mut records = Records::new(7);
    let mut written: Vec<u64> = Vec::new();
    let (mut line, mut warm) = (Vec::new(), None);
    let start = Instant::now();
    let gap = Duration::from_secs(1) / u32::try_from(files)?;
    for turn in 0..seconds * files as u64 {
        let due = start + gap * u32::try_from(turn)?;
        while Instant::now() < due {
            match &mut writer {
                Some(writer) if writer.is_hungry(&address)? => writer.write()?,
                _ => std::thread::sleep(due.saturating_duration_since(Instant::now()).min(Duration::from_millis(20))),
            }
        }
        line.clear();
        records.push_text(&mut line, "GET /cart 200 in 12 ms by the quiet shop around the corner ");
        quiet[(turn % files as u64) as usize].write_all(&line)?;
        written.push(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos() as u64);
        if warm.is_none() && start.elapsed() > Duration::from_secs(5) {
            warm = Some((Instant::now(), agent.process.cpu()?, summary(&address)?.requests));
        }
    }
    let (from, cpu, requests) = warm.ok_or("run for more than five seconds")?;
    let (cpu, requests) = (agent.process.cpu()? - cpu, summary(&address)?.requests - requests);
    let span = from.elapsed();
    let limit = Instant::now() + Duration::from_secs(60);
    let arrived = loop {
        agent.process.check()?;
        let times = arrived(&address)?;
        if times.len() >= written.len() && times[..written.len()].iter().all(|nanos| *nanos != 0) {
            break times;
        }
        if Instant::now() > limit {
            return Err(format!("lines are missing a minute later; see {}", folder.display()).into());
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let mut lags: Vec<_> = written.iter().zip(&arrived).map(|(from, to)| to.saturating_sub(*from)).collect();
    lags.sort_unstable();
    let percentile = |percent: usize| Duration::from_nanos(lags[(lags.len() - 1) * percent / 100]);
    let peak_rss = agent.process.peak_rss()?;
    if summary(&address)?.doubled > 0 {
        return Err("lines arrived twice".into());
    }
    agent.process.stop()?;
    drop(sink);
    fs::remove_dir_all(&folder)?;
    Ok(Paced {
        cpu: cpu.as_secs_f64() / span.as_secs_f64(),
        peak_rss,
        requests: requests as f64 / span.as_secs_f64(),
        p50: percentile(50),
        p99: percentile(99),
        lines: written.len(),
        loud: writer.map_or(0, |writer| writer.lines),
    })
}

/// The container that never stops: kept well ahead of what the sink has seen.
struct Loud {
    file: File,
    block: Vec<u8>,
    block_lines: u64,
    lines: u64,
}

/// Lines written ahead of the agent, about 100 MB.
const AHEAD: u64 = 1_000_000;

impl Loud {
    fn new(layout: &Layout, index: usize) -> Result<Self, Box<dyn Error>> {
        let path = layout.add_container(index)?;
        File::create(&path)?;
        let mut block = Vec::new();
        let mut block_lines = 0;
        while block.len() < 1 << 20 {
            // Without a number: the sink counts these lines, but does not tell them apart.
            block.extend_from_slice(
                b"2026-11-23T00:00:00.000000000Z stdout F loud loud loud loud loud loud loud loud loud loud ",
            );
            block.extend_from_slice(b"loud loud loud loud loud\n");
            block_lines += 1;
        }
        let mut loud = Self { file: OpenOptions::new().append(true).open(path)?, block, block_lines, lines: 0 };
        while loud.lines < AHEAD {
            loud.write()?;
        }
        Ok(loud)
    }

    fn is_hungry(&self, address: &str) -> Result<bool, Box<dyn Error>> {
        let seen = summary(address)?;
        Ok(self.lines - (seen.documents - seen.numbered) < AHEAD)
    }

    fn write(&mut self) -> Result<(), Box<dyn Error>> {
        self.file.write_all(&self.block)?;
        self.lines += self.block_lines;
        Ok(())
    }
}
