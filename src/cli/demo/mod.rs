//! `tailwater demo`: the main job on a machine that has nothing else. A small shop writes container logs as
//! a node would have them, exposes metrics and traces its requests, the agent runs its real pipeline over all of it, every
//! record that was written and every span that was sent is looked for in what comes out, and what the metrics say at the
//! end is compared with what happened. Then one of the shop's endpoints goes away until somebody is paged, and comes back.

mod endpoints;
mod folder;
mod ledger;
mod pager;
mod results;
mod samples;
mod screen;
mod shop;
mod spans;
mod summary;
mod tracer;
mod view;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::endpoints::Endpoints;
use self::folder::Folder;
use self::ledger::Ledger;
use self::pager::Pager;
use self::results::{Results, ResultsError};
use self::samples::Samples;
use self::screen::Screen;
use self::shop::till::Till;
use self::shop::{Books, Deeds, Shop, ShopError};
use self::spans::{SpanLedger, Spans};
use self::summary::Summary;
use self::tracer::Tracer;
use self::view::{Frame, Row, Scrapes};
use super::run::Failed;
use crate::app::limits::Limits;
use crate::app::{Agent, Shared};
use crate::config;
use crate::data::{Signal, UnixNanos};
use crate::net::HttpClient;
use crate::options::{self, HttpClientOptions};
use crate::pipeline;
use crate::pipeline::graph::Role;
use crate::registry::TABLES;
use crate::telemetry::{ComponentMetrics, logging};

/// What a demo may be told.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How long the shop is open, such as 30s or 5m; until Ctrl-C if left out
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    length: Option<Duration>,
    /// Folder for the logs, the configuration and the results; a fresh one for temporary files if left out
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Lines that the shop writes in a second
    #[arg(long, value_name = "LINES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// What the shop writes follows from this number; a random one if left out
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = options::Duration::parse(text).map(|duration| duration.0);
    parsed.ok_or_else(|| "write a number and a unit, such as 30s or 5m".to_owned())
}

/// How often the shop writes what is due.
const TICK: Duration = Duration::from_millis(20);

/// How often the results are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How long the agent gets, once the shop is closed, to bring the rest.
const SETTLE: Duration = Duration::from_secs(20);

/// Runs the demo; whether everything written was found.
pub fn run(args: DemoArgs) -> Result<bool, Failed> {
    let folder = Folder::prepare(args.data.clone()).map_err(process)?;
    let screen = Screen::of_stdout();
    let level = match screen {
        // Lines of the log would tear the view apart, which shows what is wrong by itself.
        Screen::Terminal(_) => logging::Level::Error,
        Screen::Plain(_) => logging::Level::Warn,
    };
    logging::init(logging::Log { level, ..logging::Log::default() }).map_err(process)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(Limits::detect().workers)
        .enable_all()
        .build()
        .map_err(|error| Failed::Process(format!("cannot start the runtime: {error}")))?;
    let summary = runtime.block_on(demonstrate(&args, &folder, screen))?;
    say(format_args!("\n{summary}"));
    Ok(summary.holds())
}

async fn demonstrate(args: &DemoArgs, folder: &Folder, mut screen: Screen) -> Result<Summary, Failed> {
    say(format_args!("A shop writes container logs under {}", folder.node().display()));
    say(format_args!(
        "and exposes metrics at           {}",
        folder.exposed.clone().map(|at| format!("http://{at}/metrics")).join(", ")
    ));
    say(format_args!("and sends spans to               http://{}/v1/traces", folder.otlp));
    say(format_args!("Tailwater carries them to        {}", folder.root().join("out").display()));
    say(format_args!("and pages by PagerDuty's API at  http://{}/v2/enqueue", folder.pager));
    say(format_args!("by the configuration             {}", folder.config().display()));
    say(format_args!("and tells about itself at        http://{}/\n", folder.admin));

    let signals = |kind| signal(kind).map_err(|error| Failed::Process(format!("cannot listen for signals: {error}")));
    let (mut interrupt, mut terminate) = (signals(SignalKind::interrupt())?, signals(SignalKind::terminate())?);
    let happened = Happened::default();
    let mut outputs = Outputs::of(folder, &happened);
    let [checkout, web] = &folder.exposed;
    let mut endpoints = Endpoints::open(checkout, web, &happened.till).await.map_err(process)?;
    let pager = Pager::on(&folder.pager).await.map_err(process)?;
    let shop = found(args, folder, &happened)?;
    let config = folder.config();
    let agent = Agent::start(Box::new(move || config::load(std::slice::from_ref(&config), TABLES))).await?;
    let shared = agent.shared().clone();
    let shop = OpenShop::open(shop)?;
    let opened = Instant::now();

    let every = screen.interval();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut show = || {
        // A reader of the view that has gone does not end the demo.
        let _ = screen.show(&frame(&shared, &happened, opened.elapsed()));
    };
    let end = args.length.map(|length| opened + length);
    let mut shown = opened;
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = sleep_until(end.unwrap_or(opened)), if end.is_some() => break,
            _ = looks.tick() => {}
        }
        outputs.look().map_err(process)?;
        if shop.is_closed() {
            break;
        }
        if shown.elapsed() >= every {
            shown = Instant::now();
            show();
        }
    }

    let deeds = shop.close().map_err(process)?;
    let deadline = Instant::now() + SETTLE;
    while !outputs.complete(&happened) && Instant::now() < deadline {
        tokio::select! {
            // Asked twice: what is still on the way is told as lost.
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = looks.tick() => outputs.look().map_err(process)?,
        }
    }
    show();
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        paged = page(&mut endpoints, &pager, &folder.exposed[0]) => paged.map_err(process)?,
    }
    agent.shutdown().await;
    outputs.look().map_err(process)?;
    let paged = pager.paged();
    Ok(Summary { paged, ..summarize(&shared, &happened, deeds, &outputs, folder) })
}

/// Lets the checkout's endpoint be gone until somebody is paged, and be there again until that is resolved.
async fn page(endpoints: &mut Endpoints, pager: &Pager, checkout: &str) -> std::io::Result<()> {
    say(format_args!(
        "\nThe checkout stops answering at {checkout}; somebody is paged as soon as two scrapes have failed:"
    ));
    endpoints.close_checkout();
    if let Some(page) = came(pager, 0).await {
        say(format_args!("  {page}\nThe checkout answers again:"));
        endpoints.open_checkout().await?;
        if let Some(page) = came(pager, 1).await {
            say(format_args!("  {page}"));
        }
    }
    Ok(())
}

/// The page of this number, if it comes in time.
async fn came(pager: &Pager, number: usize) -> Option<pager::Page> {
    let deadline = Instant::now() + SETTLE;
    loop {
        match pager.page(number) {
            None if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
            page => return page,
        }
    }
}

/// What happened in the shop, by signal.
#[derive(Default)]
struct Happened {
    ledger: Arc<Ledger>,
    till: Arc<Till>,
    spans: Arc<SpanLedger>,
}

/// What the agent made of it.
struct Outputs {
    results: Results,
    samples: Samples,
    spans: Spans,
}

impl Outputs {
    fn of(folder: &Folder, happened: &Happened) -> Self {
        Self {
            results: Results::new(folder.results(), happened.ledger.clone()),
            samples: Samples::new(folder.samples()),
            spans: Spans::new(folder.spans(), happened.spans.clone()),
        }
    }

    /// Reads what is new.
    fn look(&mut self) -> Result<(), ResultsError> {
        self.results.look()?;
        self.samples.look()?;
        self.spans.look()
    }

    /// Whether everything that happened is there.
    fn complete(&self, Happened { ledger, till, spans }: &Happened) -> bool {
        ledger.counts().open == 0 && spans.counts().open == 0 && self.samples.orders() == till.orders()
    }
}

/// The shop: its pods are there, and have said nothing yet.
fn found(args: &DemoArgs, folder: &Folder, happened: &Happened) -> Result<Shop, Failed> {
    let client = HttpClient::new(&HttpClientOptions::default()).map_err(process)?;
    let endpoint = format!("http://{}/v1/traces", folder.otlp).parse().map_err(process)?;
    let mut tracer = Tracer::new(client, endpoint, happened.spans.clone()).map_err(process)?;
    let books = Books {
        ledger: happened.ledger.clone(),
        till: happened.till.clone(),
        tracer: Box::new(move |container, request, end| tracer.trace(container, request, end)),
    };
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    Shop::open(&folder.node(), f64::from(args.rate), seed, books, UnixNanos::now()).map_err(process)
}

/// The shop on a thread of its own: it writes by the clock, whatever the agent does.
struct OpenShop {
    stop: Sender<()>,
    thread: std::thread::JoinHandle<Result<Deeds, ShopError>>,
}

impl OpenShop {
    fn open(mut shop: Shop) -> Result<Self, Failed> {
        let (stop, stopped) = channel::<()>();
        let work = move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                shop.advance(UnixNanos::now())?;
            }
            Ok(shop.deeds())
        };
        let thread = std::thread::Builder::new().name("shop".to_owned()).spawn(work).map_err(process)?;
        Ok(Self { stop, thread })
    }

    /// Whether it gave up.
    fn is_closed(&self) -> bool {
        self.thread.is_finished()
    }

    /// Closes it: nothing is written from then on.
    fn close(self) -> Result<Deeds, ShopError> {
        drop(self.stop);
        match self.thread.join() {
            Ok(closed) => closed,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// The components of the running graph and their metrics, in the graph's order.
fn components(shared: &Shared) -> Vec<(Role, Arc<ComponentMetrics>)> {
    let plan = shared.plan();
    let metrics =
        plan.graph.components.iter().map(|component| {
            (component.role.clone(), shared.telemetry.component(component.role.kind(), &component.id.0))
        });
    metrics.collect()
}

fn frame(shared: &Shared, Happened { ledger, till, spans }: &Happened, elapsed: Duration) -> Frame {
    let row = |metrics: Arc<ComponentMetrics>| Row {
        name: metrics.name.to_string(),
        rates: shared.rates.of(&metrics),
        filtered: metrics.records_filtered.get(),
        lag: Duration::from_millis(u64::try_from(metrics.lag_milliseconds.get()).unwrap_or(0)),
        lag_bytes: u64::try_from(metrics.lag_bytes.get()).unwrap_or(0),
        unhealthy: metrics.health.status().unhealthy,
    };
    let components = components(shared);
    let scrapes = components.iter().find_map(|(_, metrics)| {
        let targets = metrics.targets.counts()?;
        Some(Scrapes { targets, samples: shared.rates.of(metrics).records_out, orders: till.orders() })
    });
    Frame {
        elapsed,
        rows: components.into_iter().map(|(_, metrics)| row(metrics)).collect(),
        scrapes,
        spans: spans.counts(),
        counts: ledger.counts(),
        delay: ledger.delay(),
        sample: ledger.sample(),
    }
}

fn summarize(shared: &Shared, happened: &Happened, deeds: Deeds, outputs: &Outputs, folder: &Folder) -> Summary {
    let Outputs { results, samples, .. } = outputs;
    let metrics =
        summary::Metrics { samples: samples.lines(), happened: happened.till.orders(), told: samples.orders() };
    let components = components(shared);
    let sum = |wanted: fn(&Role) -> bool, count: fn(&ComponentMetrics) -> u64| {
        components.iter().filter(|(role, _)| wanted(role)).map(|(_, metrics)| count(metrics)).sum()
    };
    Summary {
        counts: happened.ledger.counts(),
        deeds,
        read: sum(of_logs, |metrics| metrics.records_out.get()),
        filtered: filtered(shared),
        refused: sum(|_| true, |metrics| metrics.records_refused.get() + metrics.records_dropped.get()),
        outputs: results.lines().map(|(path, lines)| (path.to_owned(), lines)).collect(),
        metrics,
        spans: happened.spans.counts(),
        paged: Default::default(),
        config: folder.config(),
    }
}

/// Whether it is a source of log records.
fn of_logs(role: &Role) -> bool {
    matches!(role, Role::Source(plan) if plan.outputs() == pipeline::Outputs::One(Signal::Logs))
}

/// Log records that transforms dropped.
fn filtered(shared: &Shared) -> u64 {
    let plan = shared.plan();
    let transforms = plan.graph.components.iter().filter(|component| {
        matches!(component.role, Role::Transform(_)) && component.input_signal == Some(Signal::Logs)
    });
    transforms.map(|component| shared.telemetry.component("transform", &component.id.0).records_filtered.get()).sum()
}

fn process(error: impl ToString) -> Failed {
    Failed::Process(error.to_string())
}

fn say(text: std::fmt::Arguments<'_>) {
    // Whoever has closed standard output does not want to know.
    let _ = writeln!(std::io::stdout(), "{text}");
}
