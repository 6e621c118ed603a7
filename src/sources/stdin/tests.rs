//! The source, driven through a pipe or a reader of the test's own.

use std::io::{self, Write};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::data::{LogBatch, MemoryBudget, SeriesTable, Value};
use crate::delivery::queue::{EdgeReceiver, WhenFull, edge};
use crate::delivery::{Outcome, Path};
use crate::pipeline::ComponentId;
use crate::pipeline::outlet::{Chain, Gate, Reader};
use crate::telemetry::Telemetry;

/// Generous: what is waited for comes at once, or the test has failed.
const LIMIT: Duration = Duration::from_secs(60);

struct Running {
    output: EdgeReceiver,
    metrics: Arc<ComponentMetrics>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), TaskError>>,
}

fn start(options: &Options, input: Arc<AsyncMutex<Input>>) -> Running {
    let telemetry = Arc::new(Telemetry::new());
    let metrics = telemetry.component("source", "stdin/test");
    let cx = PrepareContext {
        id: ComponentId("stdin/test".into()),
        metrics: metrics.clone(),
        telemetry: telemetry.clone(),
        names: Arc::default(),
        series: SeriesTable::new(1),
        memory: Arc::new(MemoryBudget::new(64 << 20)),
        data_dir: std::path::Path::new("").into(),
        identity: Arc::default(),
        pods: Arc::default(),
        lasting: Default::default(),
        workers: 1,
    };
    let source = options.source(&cx, input);
    let (sender, output) = edge(16 << 20, WhenFull::Block, telemetry.component("sink", "test/out"));
    let chain = Chain { readers: vec![Reader::edge(sender, "stdin/test")] };
    let (_, outlet) = Gate::open(chain, Path::new(), metrics.clone());
    let shutdown = CancellationToken::new();
    let (metrics_of_source, removed) = (metrics.clone(), CancellationToken::new());
    let context = SourceContext {
        id: cx.id,
        outlets: vec![outlet],
        metrics: metrics_of_source,
        shutdown: shutdown.clone(),
        removed,
    };
    Running { output, metrics, shutdown, task: tokio::spawn(Box::new(source).start(context)) }
}

fn input(reader: impl io::Read + Send + 'static) -> Arc<AsyncMutex<Input>> {
    Arc::new(AsyncMutex::new(Input::new(reader)))
}

impl Running {
    async fn next(&mut self) -> Message {
        timeout(LIMIT, self.output.recv()).await.expect("in time").expect("the source runs")
    }

    /// All records until the source has ended, each settled at once.
    async fn rest(mut self) -> (Vec<Vec<u8>>, Arc<ComponentMetrics>) {
        let mut bodies = Vec::new();
        while let Some(message) = timeout(LIMIT, self.output.recv()).await.expect("in time") {
            bodies.extend(texts(logs(&message)));
            let records = message.batch.count() as u64;
            message.ack.settle(Outcome::Delivered, records);
        }
        timeout(LIMIT, self.task).await.expect("in time").expect("no panic").expect("no error");
        (bodies, self.metrics)
    }
}

fn logs(message: &Message) -> &LogBatch {
    let Batch::Logs(logs) = &message.batch else { panic!("logs") };
    logs
}

fn texts(batch: &LogBatch) -> Vec<Vec<u8>> {
    batch.iter().map(|view| view.body().to_vec()).collect()
}

#[tokio::test]
async fn ends_when_the_pipe_has_ended_and_everything_is_settled() {
    let (read, mut write) = io::pipe().expect("a pipe");
    let mut running = start(&Options::default(), input(read));
    write.write_all(b"one\ntwo\r\n\nthr").expect("writes");
    let first = running.next().await;
    assert_eq!(texts(logs(&first)), [&b"one"[..], b"two", b""]);
    write.write_all(b"ee\nno line feed").expect("writes");
    drop(write);
    let mut bodies = Vec::new();
    while bodies.len() < 2 {
        let message = running.next().await;
        bodies.extend(texts(logs(&message)));
        message.ack.settle(Outcome::Delivered, 1);
    }
    assert_eq!(bodies, [&b"three"[..], b"no line feed"]);
    assert!(!running.task.is_finished(), "the first batch is not settled");
    first.ack.settle(Outcome::Delivered, 3);
    timeout(LIMIT, running.task).await.expect("in time").expect("no panic").expect("no error");
    assert_eq!((running.metrics.records_in.get(), running.metrics.bytes_in.get()), (5, 28));
}

#[tokio::test]
async fn a_runtimes_lines_are_joined_and_carry_their_stream() {
    let text = "2026-11-23T00:00:01.000000000Z stderr P ab\n\
                2026-11-23T00:00:02.000000000Z stdout F whole\n\
                2026-11-23T00:00:03.000000000Z stderr F cd\n\
                no header\n";
    let options = Options { format: Format::Container, ..Options::default() };
    let mut running = start(&options, input(text.as_bytes()));
    let message = running.next().await;
    let batch = logs(&message);
    let streams: Vec<_> = batch
        .iter()
        .map(|view| match view.attributes() {
            [] => "",
            [attribute] => {
                assert_eq!(view.bytes(attribute.key), b"log.iostream");
                let Value::Text(value) = attribute.value else { panic!("text") };
                std::str::from_utf8(view.bytes(value)).expect("a word")
            }
            more => panic!("{more:?}"),
        })
        .collect();
    assert_eq!(texts(batch), [&b"whole"[..], b"abcd", b"no header"]);
    assert_eq!(streams, ["stdout", "stderr", ""]);
    assert_eq!(batch.records()[1].time.seconds(), 1_795_392_001);
    assert!(running.metrics.health.status().last_error.is_some_and(|(_, words)| words.contains("1 lines have no")));
    message.ack.settle(Outcome::Delivered, 3);
}

#[tokio::test]
async fn a_line_of_64_mib_is_cut_and_counted() {
    let line = io::Read::take(io::repeat(b'a'), 64 << 20);
    let (bodies, metrics) = start(&Options::default(), input(line)).rest().await;
    assert_eq!(bodies.len(), 64);
    assert!(bodies.iter().all(|body| body.len() == 1 << 20));
    assert_eq!(metrics.errors.get(), 63, "every cut is counted");
}

#[tokio::test]
async fn a_reload_amid_a_line_loses_none_of_it() {
    let (read, mut write) = io::pipe().expect("a pipe");
    let input = input(read);
    let mut old = start(&Options::default(), input.clone());
    write.write_all(b"first\nsecond, be").expect("writes");
    let message = old.next().await;
    message.ack.settle(Outcome::Delivered, 1);
    old.shutdown.cancel();
    timeout(LIMIT, old.task).await.expect("in time").expect("no panic").expect("no error");
    // The read that the old source had asked for is still under way.
    write.write_all(b"gun\n").expect("writes");
    drop(write);
    let (bodies, _) = start(&Options::default(), input).rest().await;
    assert_eq!(bodies, [b"second, begun"]);
}

#[tokio::test]
async fn what_is_abandoned_is_counted_as_lost() {
    let mut running = start(&Options::default(), input(&b"one\ntwo\n"[..]));
    drop(running.next().await);
    timeout(LIMIT, running.task).await.expect("in time").expect("no panic").expect("no error");
    assert_eq!(running.metrics.records_lost.get(), 2);
}

fn cut(format: Format, most: usize, pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Counts) {
    let mut cutter = Cutter::new(format, most);
    let (mut bodies, mut total) = (Vec::new(), Counts::default());
    for piece in pieces.iter().map(Some).chain([None]) {
        let mut builder = LogBuilder::new(Arc::default(), Arc::default());
        let counts = match piece {
            Some(piece) => cutter.cut(&crate::data::Chunk::from_vec(piece.to_vec()), &mut builder),
            None => cutter.flush(&mut builder),
        };
        total.broken += counts.broken;
        total.cut += counts.cut;
        bodies.extend(texts(&builder.build()));
    }
    (bodies, total)
}

proptest::proptest! {
    #[test]
    fn where_reads_end_changes_no_record(
        lines in proptest::collection::vec("(2026-11-23T00:00:00Z std(out|err) [PF] )?[a-z]{0,40}\r?", 0..20),
        at in proptest::collection::vec(0usize..1000, 0..12),
        most in 8usize..200,
        container: bool,
    ) {
        let format = if container { Format::Container } else { Format::Text };
        let text = lines.join("\n").into_bytes();
        let mut at: Vec<_> = at.into_iter().map(|at| at.min(text.len())).chain([0, text.len()]).collect();
        at.sort_unstable();
        let pieces: Vec<_> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        let (bodies, counts) = cut(format, most, &pieces);
        proptest::prop_assert_eq!((&bodies, counts), (&cut(format, most, &[&text]).0, cut(format, most, &[&text]).1));
        if !container {
            let expected: usize = text.iter().filter(|&&b| b != b'\n' && b != b'\r').count();
            let found: usize = bodies.iter().flatten().filter(|&&b| b != b'\r').count();
            proptest::prop_assert_eq!(found, expected);
            proptest::prop_assert!(bodies.iter().all(|body| body.len() <= most));
        }
    }
}
