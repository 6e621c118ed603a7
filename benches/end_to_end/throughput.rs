//! One row of the table: the whole corpus through one path, compared with what a reference parser keeps.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::agent::{Agent, Flow, OTHER_CORE};
use crate::corpus::Corpus;
use crate::counting_sink::{Compressed, Summary};
use crate::process::{self, Pinned};
use crate::reference::Expected;

/// What a row measured.
#[derive(Clone, Debug)]
pub struct Row {
    /// Processor time of the agent, start-up included.
    pub cpu: Duration,
    /// From the agent's readiness until the last record had arrived.
    pub wall: Duration,
    /// Most resident memory.
    pub peak_rss: u64,
    /// What the sink counted; empty for a blackhole.
    pub arrived: Summary,
    /// Cost of level-1 compression of all the bulk bytes; only measured where it was asked for.
    pub compression: Option<Duration>,
}

/// Runs the counting sink in a process of its own.
pub fn start_sink(folder: &Path, sample: usize) -> Result<(Pinned, String), Box<dyn Error>> {
    let address = process::free_address()?;
    let program = std::env::current_exe()?;
    let sample = sample.to_string();
    let arguments = ["sink", "--listen", &address, "--sample", &sample];
    let mut sink = Pinned::start(OTHER_CORE, &program, &arguments, &folder.join("sink.log"))?;
    process::wait_ready(&mut sink, &address, "/bench/summary")?;
    Ok((sink, address))
}

/// What the sink at `address` has counted.
pub fn summary(address: &str) -> Result<Summary, Box<dyn Error>> {
    Ok(serde_json::from_slice(&process::get(address, "/bench/summary")?)?)
}

/// When each record arrived at the sink, in Unix nanoseconds; 0 for not at all.
pub fn arrived(address: &str) -> Result<Vec<u64>, Box<dyn Error>> {
    let bytes = process::get(address, "/bench/arrived")?;
    Ok(bytes.chunks_exact(8).map(|nanos| u64::from_le_bytes(nanos.try_into().expect("chunks of 8 bytes"))).collect())
}

/// Runs one path over the corpus and checks every record.
pub fn run(flow: Flow, corpus: &Corpus, expected: &Expected, root: &Path) -> Result<Row, Box<dyn Error>> {
    let folder = root.join("run");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    // A sample of the bodies is enough to time compression, and keeps the sink small.
    let (mut sink, address) = start_sink(&folder, if flow == Flow::Elasticsearch { 256 << 20 } else { 0 })?;
    let mut agent = Agent::start(flow, &folder, &corpus.containers, &address)?;
    let start = Instant::now();
    let limit = start + Duration::from_secs(60) + Duration::from_secs(corpus.bytes >> 22);
    loop {
        agent.process.check()?;
        sink.check()?;
        let done = match flow {
            Flow::Blackhole => agent.counter("tailwater_records_out_total", "blackhole/null")?,
            _ => summary(&address)?.numbered,
        };
        if done >= expected.kept() {
            break;
        }
        if Instant::now() > limit {
            return Err(format!(
                "only {done} of {} records arrived in time; see {}",
                expected.kept(),
                folder.display()
            )
            .into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let wall = start.elapsed();
    // Checkpoints and answers that are still on their way belong to the price.
    std::thread::sleep(Duration::from_millis(500));
    let (cpu, peak_rss) = (agent.process.cpu()?, agent.process.peak_rss()?);
    let filtered = agent.counter("tailwater_records_filtered_total", "steps/main")?;
    agent.process.stop()?;
    if filtered != expected.records() - expected.kept() {
        return Err(format!("dropped {filtered} records, not {}", expected.records() - expected.kept()).into());
    }
    let arrived_summary = summary(&address)?;
    if flow != Flow::Blackhole {
        check(flow, expected, &arrived(&address)?, &arrived_summary)?;
    }
    let compression =
        (flow == Flow::Elasticsearch).then(|| compression(&address, arrived_summary.bytes)).transpose()?;
    fs::remove_dir_all(&folder)?;
    Ok(Row { cpu, wall, peak_rss, arrived: arrived_summary, compression })
}

/// Processor time to compress `bytes` like those in the sink's sample.
fn compression(address: &str, bytes: u64) -> Result<Duration, Box<dyn Error>> {
    let sample: Compressed = serde_json::from_slice(&process::get(address, "/bench/compress")?)?;
    if sample.bytes == 0 {
        return Err("the sink kept no body to compress".into());
    }
    Ok(Duration::from_nanos(sample.cpu_ns).mul_f64(bytes as f64 / sample.bytes as f64))
}

fn check(flow: Flow, expected: &Expected, arrived: &[u64], summary: &Summary) -> Result<(), Box<dyn Error>> {
    let at = |number: usize| arrived.get(number).is_some_and(|nanos| *nanos != 0);
    let kept = expected.kept.iter().enumerate();
    let lost = kept.clone().filter(|(number, kept)| **kept && !at(*number)).count();
    let wrong = kept.filter(|(number, kept)| !**kept && at(*number)).count();
    let strange = arrived.iter().skip(expected.kept.len()).filter(|nanos| **nanos != 0).count();
    if lost + wrong + strange > 0 || summary.doubled > 0 || summary.documents != expected.kept() {
        let doubled = summary.doubled;
        return Err(format!(
            "{lost} lost, {doubled} doubled, {wrong} kept that a reference parser drops, {strange} strange"
        )
        .into());
    }
    if flow == Flow::RedactAndSet && (summary.emails > 0 || summary.with_env != summary.documents) {
        return Err(format!(
            "{} e-mails left, {} of {} documents edited",
            summary.emails, summary.with_env, summary.documents
        )
        .into());
    }
    Ok(())
}
