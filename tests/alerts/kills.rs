//! SIGKILLs by a seed, at any moment and with requests unanswered: no incident is lost, none is opened twice, none stays open,
//! and no `for` is counted anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::exposition_target::{Exposition, ExpositionTarget};
use crate::pagerduty_server::{Fault, Incident, PagerDutyServer, Status};
use crate::setup::Setup;
use crate::{seed, until};

/// Kills; all of the hundred where `TAILWATER_TEST_LONG` is set.
fn kills() -> usize {
    if std::env::var_os("TAILWATER_TEST_LONG").is_some() { 100 } else { 10 }
}

const ALERTS: usize = 6;

const RULES: &str = r#"
groups:
  - name: shop
    interval: 200ms
    rules:
      - alert: Bad
        expr: bad == 1
        for: 400ms
        labels: { severity: critical }
        annotations: { summary: "{{ $labels.part }} is bad" }
      - alert: Slow
        expr: slow == 1
        for: 1h
"#;

/// What the target says, and how often each alert was caused.
struct Shop {
    bad: Arc<Mutex<[bool; ALERTS]>>,
    caused: [usize; ALERTS],
}

impl Shop {
    /// Changes some alerts, each only once PagerDuty knows of its last change.
    fn change(&mut self, open: &[bool; ALERTS], random: &mut fastrand::Rng) {
        let mut bad = self.bad.lock().expect("no panic");
        for part in 0..ALERTS {
            if bad[part] == open[part] && random.bool() {
                bad[part] = !bad[part];
                self.caused[part] += usize::from(bad[part]);
            }
        }
    }
}

fn part(incident: &Incident) -> usize {
    let details = incident.events[0].to_string();
    (0..ALERTS).find(|part| details.contains(&format!("part-{part} is bad"))).expect("an alert of the rules")
}

/// Which alerts have an open incident; none may have two.
fn open(incidents: &[Incident]) -> [bool; ALERTS] {
    let mut open = [false; ALERTS];
    for incident in incidents.iter().filter(|incident| incident.status != Status::Resolved) {
        let part = part(incident);
        assert!(!open[part], "two open incidents of one alert: {incidents:#?}");
        open[part] = true;
    }
    open
}

async fn slow_since(setup: &Setup) -> Option<String> {
    let alerts = setup.api("/api/v1/alerts").await?;
    let alert = alerts["alerts"].as_array()?.iter().find(|alert| alert["labels"]["alertname"] == "Slow")?.clone();
    Some(alert["activeAt"].as_str()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_incident_is_lost_or_opened_twice_and_no_for_begins_anew() {
    let mut random = fastrand::Rng::with_seed(seed());
    let pagerduty = PagerDutyServer::start().await;
    let target = ExpositionTarget::start().await;
    let mut shop = Shop { bad: Arc::default(), caused: [0; ALERTS] };
    let bad = shop.bad.clone();
    target.expose_by("/metrics", move |_| {
        let bad = bad.lock().expect("no panic");
        let line = |(part, bad): (usize, &bool)| format!("bad{{part=\"part-{part}\"}} {}\n", u8::from(*bad));
        Exposition::text(format!("{}slow 1\n", bad.iter().enumerate().map(line).collect::<String>()))
    });
    let setup = Setup::new();
    let mut alerting = setup.pages(&pagerduty.url());
    alerting["inputs"] = json!(["prometheus_scrape/shop"]);
    alerting["rule_files"] = json!([setup.path("rules.yaml")]);
    alerting["outbox"] = json!({ "timeout": "500ms" });
    let scrape = json!([{ "job_name": "shop", "scrape_interval": "200ms", "scrape_timeout": "200ms",
        "static_configs": [{ "targets": [target.address().to_string()] }] }]);
    let config = setup.configure(
        RULES,
        json!({ "sources": { "prometheus_scrape/shop": { "scrape_configs": scrape } }, "alerting": alerting }),
    );
    let (mut since, mut faulted): (Option<String>, usize) = (None, 0);
    for kill in 0..kills() {
        let asked = pagerduty.requests();
        // Those that are left over would keep what comes last waiting.
        let more = if faulted <= asked { random.usize(..4) } else { 0 };
        faulted = faulted.max(asked) + more;
        let faults = (0..more).map(|_| match random.u8(..4) {
            0 => Fault::Hang,
            1 => Fault::TakeAndHang,
            2 => Fault::Answer(500, 0),
            _ => Fault::Answer(429, 1),
        });
        pagerduty.fail_next(faults.collect::<Vec<_>>());
        let agent = Agent::start(&config);
        until(&format!("the alert that waits for an hour: {}", agent.log()), || async {
            slow_since(&setup).await.is_some()
        })
        .await;
        let now = slow_since(&setup).await;
        assert!(since.is_none() || since == now, "kill {kill}: a `for` began anew: {since:?} {now:?}");
        since = now;
        shop.change(&open(&pagerduty.incidents()), &mut random);
        if random.bool() {
            // With a request under way, if there comes one.
            let came = async {
                while pagerduty.requests() == asked {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(2), came).await;
        } else {
            tokio::time::sleep(Duration::from_millis(random.u64(..1500))).await;
        }
        agent.kill();
    }
    let agent = Agent::start(&config);
    let wanted = *shop.bad.lock().expect("no panic");
    pagerduty.wait("an incident of each alert that fires and of no other", |incidents| open(incidents) == wanted).await;
    *shop.bad.lock().expect("no panic") = [false; ALERTS];
    let incidents = pagerduty.wait("no open incident", |incidents| open(incidents) == [false; ALERTS]).await;
    // It may have had nothing to do but to start.
    until(&format!("the agent is there: {}", agent.log()), || async { slow_since(&setup).await.is_some() }).await;
    agent.stop();
    assert_eq!(pagerduty.refused(), Vec::<Vec<String>>::new());
    let mut opened = [0; ALERTS];
    let mut keys: BTreeMap<usize, &str> = BTreeMap::new();
    for incident in &incidents {
        let part = part(incident);
        opened[part] += 1;
        assert_eq!(*keys.entry(part).or_insert(&incident.dedup_key), incident.dedup_key, "one key an alert");
        let resolves = incident.events.iter().filter(|event| event["event_action"] == "resolve").count();
        assert_eq!(resolves, 1, "{:#?}", incident.events.iter().map(Value::to_string).collect::<Vec<_>>());
    }
    assert_eq!(opened, shop.caused, "incidents, and how often each alert was caused");
    assert!(opened.iter().sum::<usize>() > 0, "nothing happened");
}
