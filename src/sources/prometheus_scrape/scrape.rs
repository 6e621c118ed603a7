//! The loop that scrapes one target: when, how, and what of it goes on.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, Benches};
use super::clock::{Clock, Moment, Wall};
use super::config::Job;
use super::gathered::{Failed, Gathered, ScrapeError};
use super::output::Output;
use super::prediction::Prediction;
use super::report::{Report, Reporting, ended};
use super::series_rules::SeriesRules;
use super::succession::{Inheritance, Origin, Remains, union};
use super::target::Target;
use crate::data::series_table::{ListBuilder, SeriesList};
use crate::data::{LabelSet, Resource, UnixMillis};
use crate::formats::prometheus::{Format, OpenMetricsParser, ProtobufParser, TextParser, negotiate};
use crate::net::ClientError;
use crate::net::http_client::{HttpClient, Request};
use crate::telemetry::targets::{self, TargetHealth};

/// Most bytes of a body where the job sets no limit.
const MOST_BODY: usize = 64 << 20;

/// Everything that one target's loop needs.
pub(super) struct Scraper {
    pub origin: Origin,
    pub target: Target,
    pub job: Arc<Job>,
    pub rules: SeriesRules,
    pub client: HttpClient,
    pub output: Output,
    pub benches: Arc<Benches>,
    pub state: Arc<targets::Target>,
    pub wall: Arc<Wall>,
    /// What others that had the same labels have left.
    pub inheritance: Inheritance,
    /// Where the target's scrapes lie in their interval.
    pub offset: Duration,
    /// What makes every scrape fail, such as too many targets.
    pub forbidden: Option<Arc<str>>,
}

/// What a loop keeps from scrape to scrape.
struct Memory {
    prediction: Prediction,
    reporting: Reporting,
    resource: Arc<Resource>,
    /// Whether the series of the prediction were ended because a scrape failed.
    ended: bool,
    /// Whether a limit refused series of it.
    refusing: bool,
    /// Whether the last scrape found no memory.
    short: bool,
    /// The last scrape of this loop.
    scraped: Option<Moment>,
}

impl Scraper {
    /// Scrapes until `stop` is cancelled. Goes on with what others have left to it, and returns what it leaves itself.
    pub async fn run(self, stop: CancellationToken) -> Option<Remains> {
        let resource =
            Arc::new(Resource::new(["job", "instance"].map(|name| (name.into(), self.target.labels.get(name).into()))));
        let mut memory = Memory {
            prediction: Prediction::none(&self.rules.table),
            reporting: Reporting::new(
                &self.rules.table,
                &report_labels(&self.rules),
                resource.clone(),
                self.job.extra_scrape_metrics,
            ),
            resource,
            ended: true,
            refusing: false,
            short: false,
            scraped: None,
        };
        let mut clock = Clock::new(self.wall.clone(), self.target.interval, self.offset);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep_until(clock.next()) => {}
            }
            let now = clock.moment();
            let last = Moment::later(memory.scraped, self.inheritance.last());
            if last.is_none_or(|last| now.is_another(last, self.target.interval)) {
                if let Some(last) = last.filter(|last| now.wall < last.wall) {
                    self.wall.was_set_back(last.wall, now.wall, &self.output);
                }
                // A scrape is bounded by its timeout; a target that goes meanwhile is not waited for.
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    () = self.scrape(now.wall, &mut memory) => {}
                }
                memory.scraped = Some(now);
            }
            clock.advance();
        }
        self.leave(memory)
    }

    /// What is left: everything that ends if nobody goes on with it.
    fn leave(&self, memory: Memory) -> Option<Remains> {
        let table = &self.rules.table;
        let inherited = self.inheritance.take();
        let Some(last) = memory.scraped else { return inherited };
        let tracked = (!memory.ended).then(|| memory.prediction.tracked(table));
        let lists: Vec<_> = tracked.iter().chain([memory.reporting.list()]).collect();
        let own = Remains {
            origin: self.origin.clone(),
            series: union(table, &lists),
            resource: memory.resource.clone(),
            last,
        };
        Some(match inherited {
            Some(inherited) => own.and(&inherited),
            None => own,
        })
    }

    async fn scrape(&self, time: UnixMillis, memory: &mut Memory) {
        let started = Instant::now();
        let mut bench = self.benches.take();
        let mut report =
            Report { timeout: self.target.timeout, sample_limit: self.job.limits.samples, ..Report::default() };
        let outcome = match self.fetch(&mut bench, &mut report).await {
            Err(ScrapeError::NoMemory(error)) => {
                self.benches.put(bench);
                return self.pass_over(&error, memory);
            }
            outcome => outcome.map_err(Failed::from),
        };
        memory.short = false;
        let outcome = outcome.and_then(|format| self.read(format, time, &mut bench, memory));
        self.benches.put(bench);
        report.duration = started.elapsed();
        let error = match outcome {
            Ok(gathered) => {
                report.up = true;
                self.end_missing(&[memory.prediction.list(), memory.reporting.list()], time, memory);
                self.pass_on(gathered, time, memory, &mut report);
                String::new()
            }
            Err(failed) => {
                (report.scraped, report.kept) = (failed.scraped, failed.kept);
                let own = (!memory.ended).then(|| memory.prediction.list());
                let there: Vec<_> = own.into_iter().chain([memory.reporting.list()]).collect();
                self.end_missing(&there, time, memory);
                self.fail(time, memory);
                failed.to_string()
            }
        };
        self.output.send(report.batch(&memory.reporting, time));
        if let Some(was) = self.state.state().health.changed(report.up) {
            self.tell(was, &error);
        }
        self.state.update(|state| {
            state.health = if report.up { TargetHealth::Up } else { TargetHealth::Down };
            state.last_error = error;
            state.last_scrape = Some(time);
            state.last_duration = report.duration;
            state.samples = report.scraped as u64;
            state.series = memory.prediction.list().len() as u64;
        });
    }

    /// The agent has no room for what the target exposes. That is not the target's fault: it stays as it was seen
    /// last, and its series do not end.
    fn pass_over(&self, error: &ClientError, memory: &mut Memory) {
        let words = format!("job `{}`: a scrape of {} is passed over: {error}", self.job.name, self.target.url);
        if std::mem::replace(&mut memory.short, true) {
            self.output.error(&words);
        } else {
            self.output.tell(&words);
        }
        self.state.update(|state| state.last_error = error.to_string());
    }

    /// Tells that a target is down, and that it is up again: once each.
    fn tell(&self, was_up: bool, error: &str) {
        let (job, url) = (&self.job.name, &self.target.url);
        if was_up {
            tracing::warn!(job, %url, error, "the target is down");
        } else {
            tracing::info!(job, %url, "the target is up again");
        }
    }

    /// Tells that a limit refuses series of the target, and that it does no more: once each.
    fn tell_refusing(&self, refusing: bool, series: usize) {
        let (job, url) = (&self.job.name, &self.target.url);
        if refusing {
            tracing::warn!(job, %url, series, "new series of the target are refused by a limit");
        } else {
            tracing::info!(job, %url, "no series of the target is refused by a limit any more");
        }
    }

    async fn fetch(&self, bench: &mut Bench, report: &mut Report) -> Result<Format, ScrapeError> {
        if let Some(words) = &self.forbidden {
            return Err(ScrapeError::Fetch(words.to_string()));
        }
        let limit = if self.job.body_size_limit == 0 { MOST_BODY } else { self.job.body_size_limit };
        let mut request = Request::get(self.target.url.clone());
        request.timeout = self.target.timeout;
        request.most_answer = limit;
        request.headers = self.headers();
        let fetched = self.client.fetch(request, limit, &mut bench.body).await.map_err(|error| match error {
            ClientError::NoMemory(_) => ScrapeError::NoMemory(error),
            error => ScrapeError::Fetch(error.to_string()),
        })?;
        if !fetched.status.is_success() {
            return Err(ScrapeError::Status(fetched.status));
        }
        report.body_bytes = bench.body.text.len() as i64;
        let content_type = fetched.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        negotiate::format(content_type, self.job.fallback).map_err(|error| ScrapeError::ContentType(error.to_string()))
    }

    fn headers(&self) -> HeaderMap {
        let accept = negotiate::accept(&self.job.protocols, self.job.escaping);
        let timeout = self.target.timeout.as_secs_f64().to_string();
        let mut headers = HeaderMap::new();
        for (name, value) in [(ACCEPT.as_str(), accept), ("x-prometheus-scrape-timeout-seconds", timeout)] {
            if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        if !self.job.compression {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        headers
    }

    fn read(
        &self,
        format: Format,
        time: UnixMillis,
        bench: &mut Bench,
        memory: &mut Memory,
    ) -> Result<Gathered, Failed> {
        let (body, anew) = (&bench.body.text[..], &mut bench.anew);
        let prediction = &mut memory.prediction;
        match format {
            Format::Text => prediction.read(|| TextParser::new(body), &self.rules, time, anew),
            Format::OpenMetrics => prediction.read(|| OpenMetricsParser::new(body), &self.rules, time, anew),
            Format::Protobuf => {
                prediction.read(|| ProtobufParser::new(body, self.job.histograms), &self.rules, time, anew)
            }
        }
    }

    fn pass_on(&self, gathered: Gathered, time: UnixMillis, memory: &mut Memory, report: &mut Report) {
        (report.scraped, report.kept) = (gathered.scraped, gathered.kept);
        report.added = gathered.added;
        if gathered.refused > 0 {
            self.output.refused(
                gathered.refused as u64,
                &format!(
                    "job `{}`: {} new series of {} are refused by a limit",
                    self.job.name, gathered.refused, self.target.url
                ),
            );
        }
        let refusing = memory.prediction.refuses();
        if std::mem::replace(&mut memory.refusing, refusing) != refusing {
            self.tell_refusing(refusing, gathered.refused);
        }
        let left_out = gathered.left_out();
        if left_out > 0 {
            let words = format!(
                "job `{}`: {left_out} samples of {} are left out: their series stand earlier in the same exposition, \
                 with a time that is no earlier",
                self.job.name, self.target.url
            );
            tracing::warn!("{words}");
            self.output.refused(left_out as u64, &words);
        }
        let gone = gathered.ended.clone();
        if let Some(batch) = gathered.into_batch(memory.resource.clone()) {
            self.output.send(batch);
        }
        if let Some(gone) = gone.filter(|_| !memory.ended) {
            self.output.send(ended(&gone, &memory.resource, time));
        }
        memory.ended = false;
    }

    /// A scrape failed: its series end, once.
    fn fail(&self, time: UnixMillis, memory: &mut Memory) {
        if !memory.ended {
            let series = memory.prediction.tracked(&self.rules.table);
            if !series.is_empty() {
                self.output.send(ended(&series, &memory.resource, time));
            }
            memory.ended = true;
        }
    }

    /// Ends what others have left and is not there any more.
    fn end_missing(&self, there: &[&Arc<SeriesList>], time: UnixMillis, memory: &Memory) {
        let Some(inherited) = self.inheritance.take() else { return };
        let there: HashSet<_> = there.iter().flat_map(|list| list.refs()).collect();
        let mut builder = ListBuilder::default();
        let old = inherited.series.refs().iter();
        old.filter(|series| !there.contains(series)).for_each(|series| builder.known(*series));
        if !builder.is_empty() {
            let gone = self.rules.table.list(&builder).list;
            self.output.send(ended(&gone, &memory.resource, time));
        }
    }
}

/// Labels of the series that a target's scrapes say about themselves.
fn report_labels(rules: &SeriesRules) -> LabelSet {
    let mut labels = (*rules.external).clone();
    labels.extend(rules.target.iter());
    labels
}
