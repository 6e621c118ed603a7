//! Sends the signal of the dead man's switch: a request to a URL that raises an alarm when none comes (healthchecks.io,
//! PagerDuty's or Opsgenie's heartbeats, a Push gateway of one's own), or an alert `Watchdog` to a receiver, which never ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::alerting::dead_mans_switch::{DeadMansSwitch, Verdict};
use crate::alerting::sending::{Address, Credential, Endpoint, Global, LIMIT, Post, either, is_address, missing};
use crate::alerting::{Alert, Notification, Notifier, Refusal};
use crate::data::UnixMillis;
use crate::options::{Duration, HttpClientOptions, Problem, Span, Spanned, TokenAddress};

/// The kind's name.
const KIND: &str = "dead_mans_switch";

/// The name of the alert that a receiver gets, as everybody calls it.
const WATCHDOG: &str = "Watchdog";

/// Options of the dead man's switch.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "DeadMansSwitch")]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Where a request is sent. One of this, `url_file` and `receiver` is required.
    pub url: Option<Spanned<TokenAddress>>,
    /// A file with the address, read again before each request.
    pub url_file: Option<Spanned<PathBuf>>,
    /// The request: `POST` without a body, or `GET`. Default: `post`.
    pub method: Method,
    /// The receiver that is told of an alert `Watchdog`, by itself and not by a route.
    pub receiver: Option<Spanned<String>>,
    /// How often it signals. Default: `1m`.
    pub interval: Spanned<Duration>,
    /// By how many of its own intervals the evaluation of rules, or the dispatch of alerts, may be late before it signals no
    /// more. Default: `3`.
    pub patience: Spanned<u32>,
    /// How it speaks HTTP. Default: `global.http_config`.
    pub http_config: Option<Spanned<HttpClientOptions>>,
    /// Time for one request. Default: `10s`.
    pub timeout: Spanned<Duration>,
}

/// The method of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "DeadMansSwitchMethod")]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// `POST` without a body.
    #[default]
    Post,
    /// `GET`.
    Get,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            method: Method::Post,
            receiver: None,
            interval: Spanned::unknown(Duration(StdDuration::from_secs(60))),
            patience: Spanned::unknown(3),
            http_config: None,
            timeout: Spanned::unknown(Duration(StdDuration::from_secs(10))),
        }
    }
}

impl Options {
    /// The switch itself, to which work is reported.
    pub fn switch(&self) -> DeadMansSwitch {
        DeadMansSwitch::new(self.interval.0, self.patience.value)
    }

    /// Everything that is wrong. `whole` is the place of what has none of its own.
    pub fn problems(&self, whole: Span) -> Vec<Problem> {
        let mut found = Vec::new();
        let (url, file) = (self.url.is_some(), self.url_file.as_ref());
        either("url", url, "url_file", file.is_some(), file.map_or(whole, |file| file.span), &mut found);
        let receiver = self.receiver.as_ref();
        let place = receiver.map_or(whole, |receiver| receiver.span);
        either("url", url || file.is_some(), "receiver", receiver.is_some(), place, &mut found);
        if !url && file.is_none() && receiver.is_none() {
            missing("`url`, `url_file` or `receiver`", whole, &mut found);
        }
        if let Some(url) = &self.url {
            is_address("url", &url.expose(), url.span, &mut found);
        }
        if let Some(http) = &self.http_config {
            found.extend(http.problems(http.span));
        }
        let times = [("interval", &self.interval, 1, 86_400), ("timeout", &self.timeout, 1, 600)];
        for (name, time, least, most) in times {
            if !(StdDuration::from_secs(least)..=StdDuration::from_secs(most)).contains(&time.0) {
                let message = format!("`{name}` is {}", time.value);
                let help = format!("write a time from {least}s to {}m", most / 60);
                found.push(Problem::new(LIMIT, time.span, message).help(help));
            }
        }
        if !(1..=100).contains(&self.patience.value) {
            let message = format!("`patience` is {}", self.patience.value);
            found.push(Problem::new(LIMIT, self.patience.span, message).help("write a number from 1 to 100"));
        }
        found.into_iter().map(|problem| problem.at_least(whole)).collect()
    }
}

/// Whoever is signalled.
pub struct Heartbeat {
    to: To,
    switch: Arc<DeadMansSwitch>,
}

enum To {
    Url { endpoint: Endpoint, get: bool },
    Receiver { name: Box<str>, notifiers: Vec<Arc<dyn Notifier>>, started: UnixMillis },
}

impl Heartbeat {
    /// One as the options say. `notifiers` are those of the receiver that they name, if they name one.
    ///
    /// # Errors
    /// Where options have problems, or make no HTTP client.
    pub fn new(
        options: &Options,
        global: &Global,
        switch: Arc<DeadMansSwitch>,
        notifiers: Vec<Arc<dyn Notifier>>,
        now: UnixMillis,
    ) -> Result<Self, String> {
        if let Some(receiver) = &options.receiver {
            return Ok(Self { to: To::Receiver { name: receiver.as_str().into(), notifiers, started: now }, switch });
        }
        let given = options.url.as_ref().map(|url| Credential::Given(url.value.0.clone()));
        let address = given.or_else(|| options.url_file.as_ref().map(|file| Credential::File(file.value.clone())));
        let address = Address::Secret(address.ok_or("dead_mans_switch: `url` is missing")?);
        let http = options.http_config.as_ref().or(global.http_config.as_ref());
        let http = http.map(|http| http.value.clone()).unwrap_or_default();
        let endpoint = Endpoint::new(KIND, address, &http, options.timeout.0)?;
        Ok(Self { to: To::Url { endpoint, get: options.method == Method::Get }, switch })
    }

    /// Signals until it is told to stop. A signal that fails is not made up for: the next comes soon.
    pub async fn run(self, clock: fn() -> UnixMillis, shutdown: CancellationToken) {
        let mut due = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(due) => {}
            }
            let now = Instant::now();
            match self.switch.verdict(now) {
                Verdict::Alive => {
                    let signalled = tokio::select! {
                        biased;
                        () = shutdown.cancelled() => return,
                        signalled = self.signal(clock()) => signalled,
                    };
                    if let Err(refusal) = signalled {
                        tracing::warn!(%refusal, "the dead man's switch could not signal");
                    }
                }
                Verdict::Stuck { what, since } => {
                    tracing::error!(what, ?since, "the dead man's switch does not signal: work is not done any more");
                }
            }
            // By the clock, not by how long a request takes; what was missed is not made up for.
            let interval = self.switch.interval();
            while due <= Instant::now() {
                due += interval;
            }
        }
    }

    async fn signal(&self, now: UnixMillis) -> Result<(), Refusal> {
        match &self.to {
            To::Url { endpoint, get } => {
                let post = Post { get: *get, ..Post::default() };
                endpoint.post(post).await.map(|_| ())
            }
            To::Receiver { name, notifiers, started } => {
                let notification = self.watchdog(name, *started, now);
                // At once: one that hangs or refuses must not keep the others from hearing.
                let told = join_all(notifiers.iter().map(|notifier| tell(&**notifier, &notification))).await;
                told.into_iter().collect()
            }
        }
    }

    /// The alert that never ends, unless nobody speaks of it any more.
    fn watchdog(&self, receiver: &str, started: UnixMillis, now: UnixMillis) -> Notification {
        let interval = i64::try_from(self.switch.interval().as_millis()).unwrap_or(i64::MAX);
        let alert = Alert {
            labels: [("alertname", WATCHDOG), ("severity", "none")].into_iter().collect(),
            annotations: [("summary", "alerts are evaluated and dispatched; its absence is the alarm")]
                .into_iter()
                .collect(),
            starts_at: started,
            ends_at: UnixMillis(now.0.saturating_add(interval.saturating_mul(4))),
            generator_url: String::new(),
            value: 1.0,
            occurrences: Vec::new(),
        };
        Notification {
            receiver: receiver.into(),
            group_key: format!("{{}}/{{{KIND}}}"),
            group_labels: [("alertname", WATCHDOG)].into_iter().collect(),
            now,
            alerts: vec![alert],
        }
    }
}

/// Tells one of them; the first page that is refused is the last.
async fn tell(notifier: &dyn Notifier, notification: &Notification) -> Result<(), Refusal> {
    let pages = notifier.write(notification).map_err(|error| Refusal::ForGood(error.to_string()))?;
    for page in &pages {
        notifier.send(page).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use serde_json::json;

    use super::*;
    use crate::alerting::sending::Target;
    use crate::alerting::{Page, PageKind, WriteError};

    /// Keeps what it is told.
    #[derive(Default)]
    struct Kept {
        told: Mutex<Vec<Notification>>,
        refuses: bool,
    }

    impl Notifier for Kept {
        fn kind(&self) -> &'static str {
            "kept"
        }

        fn target(&self) -> Target {
            Target::of("kept", [])
        }

        fn send_resolved(&self) -> bool {
            true
        }

        fn write(&self, notification: &Notification) -> Result<Vec<Page>, WriteError> {
            self.told.lock().expect("no panic").push(notification.clone());
            Ok(vec![Page { key: "k".into(), kind: PageKind::Trigger, about: String::new(), body: bytes::Bytes::new() }])
        }

        fn send<'a>(&'a self, _: &'a Page) -> BoxFuture<'a, Result<(), Refusal>> {
            async { if self.refuses { Err(Refusal::ForGood("403".into())) } else { Ok(()) } }.boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_signals_every_interval_and_not_once_work_is_stuck() {
        let options = json!({ "receiver": "watch", "interval": "60s", "patience": 2 });
        let options: Options = serde_json::from_value(options).expect("options");
        assert!(options.problems(Span::UNKNOWN).is_empty());
        let (kept, switch) = (Arc::new(Kept::default()), Arc::new(options.switch()));
        let rules = switch.watch("rule evaluation", StdDuration::from_secs(15), Instant::now());
        let notifiers: Vec<Arc<dyn Notifier>> = vec![kept.clone()];
        let heartbeat = Heartbeat::new(&options, &Global::default(), switch, notifiers, UnixMillis(5));
        let stop = CancellationToken::new();
        let running = tokio::spawn(heartbeat.expect("a heartbeat").run(|| UnixMillis(1_000), stop.clone()));
        let told = || kept.told.lock().expect("no panic").len();
        for minute in 1..=3 {
            for _ in 0..4 {
                rules.beat(Instant::now());
                tokio::time::sleep(StdDuration::from_secs(15)).await;
            }
            assert_eq!(told(), minute, "at once, and every minute");
        }
        // The evaluation hangs: after two of its intervals nothing is sent any more.
        tokio::time::sleep(StdDuration::from_secs(610)).await;
        assert!(told() <= 4, "{}", told());
        let before = told();
        rules.beat(Instant::now());
        tokio::time::sleep(StdDuration::from_secs(29)).await;
        rules.beat(Instant::now());
        tokio::time::sleep(StdDuration::from_secs(29)).await;
        rules.beat(Instant::now());
        tokio::time::sleep(StdDuration::from_secs(20)).await;
        assert_eq!(told(), before + 1, "it works again");
        stop.cancel();
        running.await.expect("it ends");
        let notification = kept.told.lock().expect("no panic")[0].clone();
        assert_eq!(notification.alerts[0].name(), WATCHDOG);
        assert_eq!(
            (notification.alerts[0].starts_at, notification.alerts[0].ends_at),
            (UnixMillis(5), UnixMillis(241_000))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_integration_that_refuses_keeps_no_other_from_hearing() {
        let options: Options = serde_json::from_value(json!({ "receiver": "watch" })).expect("options");
        let kept = [true, false].map(|refuses| Arc::new(Kept { refuses, ..Kept::default() }));
        let notifiers: Vec<Arc<dyn Notifier>> = kept.iter().map(|kept| kept.clone() as Arc<dyn Notifier>).collect();
        let switch = Arc::new(options.switch());
        let heartbeat = Heartbeat::new(&options, &Global::default(), switch, notifiers, UnixMillis(5));
        let signalled = heartbeat.expect("a heartbeat").signal(UnixMillis(1_000)).await;
        assert!(matches!(signalled, Err(Refusal::ForGood(why)) if why == "403"), "and it is told");
        assert_eq!(kept.map(|kept| kept.told.lock().expect("no panic").len()), [1, 1]);
    }

    #[test]
    fn options_that_signal_nobody_are_told() {
        let codes = |options: serde_json::Value| {
            let options: Options = serde_json::from_value(options).expect("the shape is right");
            let problems = options.problems(Span::UNKNOWN);
            problems.into_iter().map(|problem| problem.code.0).collect::<Vec<_>>()
        };
        assert!(codes(json!({ "url": "https://hc-ping.com/x", "method": "get" })).is_empty());
        for (code, bad) in [
            ("TW1041", json!({})),
            ("TW1043", json!({ "url": "hc-ping.com/x" })),
            ("TW0705", json!({ "url": "https://hc-ping.com/x", "url_file": "/url" })),
            ("TW0705", json!({ "url": "https://hc-ping.com/x", "receiver": "watch" })),
            ("TW1045", json!({ "receiver": "watch", "interval": "500ms" })),
            ("TW1045", json!({ "receiver": "watch", "patience": 0 })),
        ] {
            assert_eq!(codes(bad.clone()), [code], "{bad}");
        }
    }
}
