//! What jobs take from `global`, what they are refused for, and whose they are.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::*;
use crate::formats::prometheus::{Escaping, NameValidation, ScrapeProtocol};
use crate::options::Role;

fn options(written: Json) -> Options {
    serde_json::from_value(written).expect("options")
}

/// The first job, beside these defaults.
fn job(global: Json, job: Json) -> Job {
    let plan = options(json!({ "global": global, "scrape_configs": [job] })).plan();
    plan.unwrap_or_else(|problems| panic!("{problems:#?}")).jobs.remove(0)
}

/// The codes that the first job is refused with.
fn refused(global: Json, job: Json) -> Vec<&'static str> {
    let plan = options(json!({ "global": global, "scrape_configs": [job] })).plan();
    plan.err().unwrap_or_default().iter().map(|problem| problem.code.0).collect()
}

#[test]
fn a_job_of_a_name_alone_has_prometheus_defaults() {
    let job = job(json!({}), json!({ "job_name": "a" }));
    assert_eq!((job.interval, job.timeout), (Duration::from_secs(60), Duration::from_secs(10)));
    assert_eq!((&*job.scheme, &*job.metrics_path), ("http", "/metrics"));
    assert!(job.honor_timestamps && job.compression && !job.honor_labels && !job.track_timestamps_staleness);
    assert_eq!(job.protocols[0], ScrapeProtocol::OpenMetricsText1_0_0);
    assert_eq!((job.names, job.escaping), (NameValidation::Utf8, Escaping::AllowUtf8));
    assert_eq!((job.limits, job.body_size_limit, job.target_limit), (Limits::default(), 0, 0));
    assert!(job.client.follow_redirects && job.client.enable_http2);
}

#[test]
fn pace_follows_global_and_never_exceeds_the_interval() {
    let pace = |global, own: Json| {
        let mut own = own;
        own["job_name"] = "a".into();
        let job = job(global, own);
        (job.interval.as_secs(), job.timeout.as_secs())
    };
    assert_eq!(pace(json!({ "scrape_interval": "15s" }), json!({})), (15, 10));
    assert_eq!(pace(json!({ "scrape_interval": "5s" }), json!({})), (5, 5));
    assert_eq!(pace(json!({ "scrape_interval": "30s", "scrape_timeout": "20s" }), json!({})), (30, 20));
    assert_eq!(pace(json!({ "scrape_timeout": "20s" }), json!({ "scrape_interval": "15s" })), (15, 15));
    assert_eq!(pace(json!({}), json!({ "scrape_interval": "0s", "scrape_timeout": 0 })), (60, 10));
    let name = "job_name";
    assert_eq!(refused(json!({}), json!({ name: "a", "scrape_timeout": "61s" })), ["TW0733"]);
    assert_eq!(refused(json!({ "scrape_interval": "5s", "scrape_timeout": "6s" }), json!({ name: "a" })), ["TW0733"]);
}

#[test]
fn limits_and_switches_come_from_global_unless_the_job_has_its_own() {
    let global = json!({
        "sample_limit": 10, "label_limit": 20, "body_size_limit": "1MB", "scrape_native_histograms": true,
        "extra_scrape_metrics": true, "always_scrape_classic_histograms": true, "keep_dropped_targets": 3
    });
    let inherited = job(global.clone(), json!({ "job_name": "a" }));
    assert_eq!((inherited.limits.samples, inherited.limits.labels, inherited.body_size_limit), (10, 20, 1 << 20));
    assert!(inherited.histograms.native && inherited.histograms.classic_too && inherited.extra_scrape_metrics);
    assert_eq!(inherited.protocols[0], ScrapeProtocol::PrometheusProto);
    assert_eq!(inherited.keep_dropped_targets, 3);
    let own = json!({
        "job_name": "a", "sample_limit": 5, "scrape_native_histograms": false, "extra_scrape_metrics": false,
        "scrape_classic_histograms": false, "sample_limit_mode": "known_series_win"
    });
    let own = job(global, own);
    assert_eq!((own.limits.samples, own.limits.samples_mode), (5, SampleLimitMode::KnownSeriesWin));
    assert!(!own.histograms.native && !own.histograms.classic_too && !own.extra_scrape_metrics);
}

#[test]
fn escaping_follows_the_scheme_for_names_as_in_prometheus() {
    let escaping = |global: Json, own: Json| {
        let mut own = own;
        own["job_name"] = "a".into();
        job(global, own).escaping
    };
    let legacy = json!({ "metric_name_validation_scheme": "legacy" });
    assert_eq!(escaping(legacy.clone(), json!({})), Escaping::Underscores);
    assert_eq!(escaping(json!({}), legacy.clone()), Escaping::Underscores);
    // A scheme of the job's own is not bent by the escaping of `global`.
    assert_eq!(escaping(json!({ "metric_name_escaping_scheme": "dots" }), json!({})), Escaping::Dots);
    assert_eq!(escaping(json!({ "metric_name_escaping_scheme": "dots" }), legacy.clone()), Escaping::Underscores);
    let asked = json!({ "job_name": "a", "metric_name_escaping_scheme": "allow-utf-8" });
    assert_eq!(refused(legacy, asked), ["TW0738"]);
}

#[test]
fn what_prometheus_refuses_is_refused() {
    let with = |key: &str, value: Json| json!({ "job_name": "a", key: value });
    for (code, job) in [
        ("TW0734", json!({ "job_name": "" })),
        ("TW0737", with("scrape_protocols", json!([]))),
        ("TW0737", with("scrape_protocols", json!(["PrometheusProto", "PrometheusProto"]))),
        ("TW0721", with("relabel_configs", json!([{ "action": "lowercase" }]))),
        ("TW0722", with("metric_relabel_configs", json!([{ "action": "keep", "regex": "(" }]))),
        ("TW0731", with("consul_sd_configs", json!([{ "server": "x" }]))),
        ("TW0731", with("scrape_failure_log_file", json!("/x"))),
        ("TW0736", with("scope", json!("shard"))),
        ("TW0750", with("static_configs", json!([{ "targets": ["http://a"] }]))),
        ("TW0704", json!({ "job_name": "a", "bearer_token": "x", "authorization": {} })),
    ] {
        assert_eq!(refused(json!({}), job.clone()), [code], "{job}");
    }
    for (code, global) in [
        ("TW0731", json!({ "evaluation_interval": "1m" })),
        ("TW0739", json!({ "external_labels": { "": "x" } })),
        ("TW0739", json!({ "external_labels": { "host": "$HOSTNAME" } })),
        ("TW0737", json!({ "scrape_protocols": [] })),
    ] {
        assert_eq!(refused(global.clone(), json!({ "job_name": "a" })), [code], "{global}");
    }
    let twice = options(json!({ "scrape_configs": [{ "job_name": "a" }, { "job_name": "a" }] })).plan();
    assert_eq!(twice.err().map(|problems| problems[0].code.0), Some("TW0732"));
    for unknown in [json!({ "job_name": "a", "scrape_intervall": "1s" }), json!({ "metrics_path": "/x" })] {
        assert!(serde_json::from_value::<Options>(json!({ "scrape_configs": [unknown] })).is_err());
    }
}

#[test]
fn a_target_that_rules_change_may_be_anything() {
    let targets = json!([{ "targets": ["https://example.org/health"] }]);
    let rules = json!([{ "source_labels": ["__address__"], "target_label": "__param_target" }]);
    let probe = json!({ "job_name": "a", "static_configs": targets, "relabel_configs": rules });
    assert_eq!(refused(json!({}), probe), [""; 0]);
}

#[test]
fn external_labels_are_checked_and_a_doubled_dollar_is_one() {
    let plan =
        options(json!({ "global": { "external_labels": { "a": "5$$", "b": "" } }, "scrape_configs": [] })).plan();
    let labels = plan.expect("valid").external_labels;
    assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "5$")]);
}

#[test]
fn the_scope_is_the_widest_of_the_discoveries_unless_it_is_written() {
    let scope = |own: Json| job(json!({}), own).scope;
    let targets = json!([{ "targets": ["a:1"] }]);
    assert_eq!(scope(json!({ "job_name": "a", "static_configs": targets })), Scope::Cluster);
    assert_eq!(scope(json!({ "job_name": "a", "static_configs": targets, "scope": "node" })), Scope::Node);
    for (role, expected) in [
        ("pod", Scope::Node),
        ("node", Scope::Node),
        ("endpoints", Scope::Node),
        ("endpointslice", Scope::Node),
        ("service", Scope::Cluster),
        ("ingress", Scope::Cluster),
    ] {
        let found = json!({ "job_name": "a", "kubernetes_sd_configs": [{ "role": role }] });
        assert_eq!(scope(found), expected, "{role}");
    }
    let wide = json!({ "job_name": "a", "kubernetes_sd_configs": [{ "role": "pod" }], "static_configs": targets });
    assert_eq!(scope(wide), Scope::Cluster);
    let shared =
        json!({ "shard": { "index": 1, "count": 2 }, "scrape_configs": [{ "job_name": "a", "scope": "shard" }] });
    assert_eq!(options(shared).plan().expect("valid").jobs[0].scope, Scope::Shard);
    assert!(options(json!({ "shard": { "index": 2, "count": 2 }, "scrape_configs": [] })).plan().is_err());
}

#[test]
fn an_agent_on_every_node_refuses_what_is_not_the_nodes() {
    let targets = json!([{ "targets": ["a:1"] }]);
    let written = options(json!({ "scrape_configs": [
        { "job_name": "wide", "static_configs": targets },
        { "job_name": "local", "static_configs": targets, "scope": "node" }
    ] }));
    let refused = |role| {
        let problems = written.misplaced(&Identity { role, ..Identity::default() });
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    let told = refused(Role::Node);
    assert!(told.len() == 1 && told[0].starts_with("the job `wide` has the scope `cluster`"), "{told:?}");
    assert!(refused(Role::Standalone).is_empty());
}
