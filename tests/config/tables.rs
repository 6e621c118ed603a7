//! What the configurations of these tests may name: everything that the agent knows, and sources of other
//! signals and of several outputs, so that no check has to wait for a real one.

use tailwater::config::Tables;
use tailwater::data::Signal;
use tailwater::options::{HttpClientOptions, HttpServerOptions, Joined, Problem, Span, Spanned, Verbatim};
use tailwater::pipeline::component::{Plan, PrepareContext, Source};
use tailwater::pipeline::{Descriptor, Outputs, PrepareError, SourceContext, SourcePlan, Task};
use tailwater::registry;

/// Whether an environment variable is set is the same in every run.
pub fn environment(name: &str) -> Option<String> {
    match name {
        "NODE_NAME" => Some("n1".into()),
        "PORT" => Some("7790".into()),
        "LEVEL" => Some("debug".into()),
        "SECRET" => Some("hunter2hunter2".into()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// The tables of the registry and the sources of these tests.
pub fn tables() -> Tables {
    let sources = registry::SOURCES.iter().copied().chain([&METRICS, &SEVERAL, &LOGS, &HTTP, &RECEIVER]);
    Tables { sources: sources.collect::<Vec<_>>().leak(), ..registry::TABLES }
}

const METRICS: Descriptor<dyn SourcePlan> = descriptor("test_metrics", |_| Ok(Box::new(Test(Signal::Metrics))));

/// Sends logs, with the options `number` and `text`.
const LOGS: Descriptor<dyn SourcePlan> = descriptor("test_logs", |options| {
    let Options { number, text } = erased_serde::deserialize(options)?;
    drop((number, text));
    Ok(Box::new(Test(Signal::Logs)))
});

/// Has an output for each signal.
const SEVERAL: Descriptor<dyn SourcePlan> = descriptor("test_otlp", |_| Ok(Box::new(Several)));

/// Talks HTTP: by its own words, and in `jobs` by Prometheus's.
const HTTP: Descriptor<dyn SourcePlan> = descriptor("test_http", |options| {
    let options: Joined<Jobs, HttpClientOptions> = erased_serde::deserialize(options)?;
    Ok(Box::new(Http(options)))
});

/// Listens.
const RECEIVER: Descriptor<dyn SourcePlan> = descriptor("test_receiver", |options| {
    let options: HttpServerOptions = erased_serde::deserialize(options)?;
    Ok(Box::new(Receiver(options)))
});

type Planned = Result<Box<dyn SourcePlan>, erased_serde::Error>;

const fn descriptor(
    name: &'static str,
    plan: fn(&mut dyn erased_serde::Deserializer<'_>) -> Planned,
) -> Descriptor<dyn SourcePlan> {
    Descriptor {
        name,
        summary: "A source of these tests.",
        plan,
        schema: |_| schemars::json_schema!({ "type": "object" }),
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    number: u16,
    text: Option<Spanned<String>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Jobs {
    jobs: Verbatim<Vec<Joined<Options, HttpClientOptions>>>,
}

struct Receiver(HttpServerOptions);

impl Plan for Receiver {
    fn problems(&self) -> Vec<Problem> {
        self.0.problems()
    }
}

impl SourcePlan for Receiver {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Metrics)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(Idle))
    }
}

struct Http(Joined<Jobs, HttpClientOptions>);

struct Test(Signal);

struct Several;

impl Plan for Test {}
impl Plan for Several {}

impl Plan for Http {
    fn problems(&self) -> Vec<Problem> {
        let jobs = self.0.jobs.iter().map(|job| &job.shared);
        jobs.chain([&self.0.shared]).flat_map(|http| http.problems(Span::UNKNOWN)).collect()
    }
}

impl SourcePlan for Http {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Metrics)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(Idle))
    }
}

impl SourcePlan for Test {
    fn outputs(&self) -> Outputs {
        Outputs::One(self.0)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(Idle))
    }
}

impl SourcePlan for Several {
    fn outputs(&self) -> Outputs {
        let signals = [Signal::Logs, Signal::Metrics, Signal::Traces];
        Outputs::Named(signals.map(|signal| (signal.name().into(), signal)).into())
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(Idle))
    }
}

struct Idle;

impl Source for Idle {
    fn start(self: Box<Self>, cx: SourceContext) -> Task {
        Box::pin(async move {
            cx.shutdown.cancelled().await;
            Ok(())
        })
    }
}
