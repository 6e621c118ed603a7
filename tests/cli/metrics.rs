//! Verbs about metrics: what rules do, and what becomes of a prometheus.yml. `convert/NAME/prometheus.yml` must
//! become `expected.yaml`, with `expected.txt` told; with `TAILWATER_UPDATE_GOLDENS=1` in the environment these
//! are written anew.

use std::fmt::Write;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use super::agent::{run, tailwater, text};

const RULES: &str = r#"
- { source_labels: [__meta_scrape], regex: true, action: keep }
- { source_labels: [__address__], regex: "([^:]+)(?::\\d+)?", target_label: host }
- { regex: __meta_(team|zone), action: labelmap }
- { target_label: team, replacement: "" }
- { source_labels: [host], regex: db-.*, action: drop }
"#;

#[test]
fn relabel_shows_what_each_rule_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, RULES).expect("written");
    let rules = rules.to_str().expect("UTF-8");
    let labels = r#"{__address__="web-1:80", __meta_scrape="true", __meta_zone="eu", team="shop", "a.b"="q\"q"}"#;
    let ran = run(&["relabel", "--rules", rules, labels]);
    let expected = r#"{__address__="web-1:80", __meta_scrape="true", __meta_zone="eu", "a.b"="q\"q", team="shop"}
  1  keep [__meta_scrape] regex "true"
       looks at "true"
       nothing changes
  2  replace [__address__] regex "([^:]+)(?::\\d+)?" target_label "host"
       looks at "web-1:80"
       + host="web-1"
  3  labelmap regex "__meta_(team|zone)"
       + zone="eu"
  4  replace target_label "team" replacement ""
       - team="shop"
  5  drop [host] regex "db-.*"
       looks at "web-1"
       nothing changes
kept: {__address__="web-1:80", __meta_scrape="true", __meta_zone="eu", "a.b"="q\"q", host="web-1", zone="eu"}
"#;
    assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(0), expected), "{}", text(&ran.stderr));

    // From standard input, in both ways of writing, one set a line.
    let mut child = tailwater()
        .args(["relabel", "--rules", rules])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let sets = "{\"__meta_scrape\": \"true\", \"__address__\": \"db-1\"}\n\nup{__meta_scrape=\"false\"}\n";
    child.stdin.take().expect("piped").write_all(sets.as_bytes()).expect("it reads");
    let ran = child.wait_with_output().expect("it ends");
    assert_eq!(ran.status.code(), Some(0));
    let told = text(&ran.stdout);
    assert!(
        told.contains("       dropped\ndropped by rule 5\n\n{__meta_scrape=\"false\", __name__=\"up\"}\n"),
        "{told}"
    );
    assert!(told.ends_with("       looks at \"false\"\n       dropped\ndropped by rule 1\n"), "{told}");
}

#[test]
fn relabel_says_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, "- { action: keep, regex: '(' }\n").expect("written");
    let rules = rules.to_str().expect("UTF-8");
    let ran = run(&["relabel", "--rules", rules, "{}"]);
    assert_eq!(ran.status.code(), Some(3));
    assert!(text(&ran.stderr).contains("error[TW0722]") && text(&ran.stderr).contains("rules.yaml:1:27"));
    std::fs::write(rules, "[]").expect("written");
    let ran = run(&["relabel", "--rules", rules, "a=b"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).starts_with("`a=b` are no labels"), "{}", text(&ran.stderr));
    for (json, says) in [
        (r#"{"a": 1e3}"#, "`a` is a number; values are texts: put it in quotes"),
        (r#"{"a": true}"#, "`a` is true; values are texts: put it in quotes"),
        (r#"{"a": null}"#, "`a` is null; leave out a label that is not there"),
        (r#"{"a": ["b"]}"#, "`a` is a list or an object; values are texts"),
        (r#"["a"]"#, "it is JSON, and no object"),
    ] {
        let ran = run(&["relabel", "--rules", rules, json]);
        assert_eq!(ran.status.code(), Some(1));
        assert_eq!(text(&ran.stderr), format!("`{json}` are no labels: {says}\n"));
    }
    assert_eq!(run(&["relabel", "{}"]).status.code(), Some(2));
}

#[test]
fn relabel_takes_the_rules_of_a_job() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.yaml");
    let written = r#"
sources:
  prometheus_scrape/main:
    scrape_configs:
      - job_name: web
        params: { module: [x] }
        static_configs: [{ targets: ["web-1:80"] }]
        relabel_configs: [{ source_labels: [__param_module], target_label: module }]
        metric_relabel_configs: [{ source_labels: [__name__], regex: go_.*, action: drop }]
sinks: { blackhole/out: { inputs: [prometheus_scrape/main] } }
"#;
    std::fs::write(&config, written).expect("written");
    let config = config.to_str().expect("UTF-8");
    let ran = run(&["relabel", "--config", config, "--job", "web", r#"{__address__="web-1:80"}"#]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let kept = "kept: {__address__=\"web-1:80\", __metrics_path__=\"/metrics\", __param_module=\"x\", \
                __scheme__=\"http\", __scrape_interval__=\"1m\", __scrape_timeout__=\"10s\", job=\"web\", \
                module=\"x\"}\n";
    assert!(text(&ran.stdout).ends_with(kept), "{}", text(&ran.stdout));
    let ran = run(&["relabel", "--config", config, "--job", "web", "--metrics", "go_threads{a=\"b\"}"]);
    assert!(text(&ran.stdout).ends_with("dropped by rule 1\n"), "{}", text(&ran.stdout));
    let ran = run(&["relabel", "--config", config, "--job", "wep", "{}"]);
    assert_eq!(ran.status.code(), Some(2));
    assert_eq!(text(&ran.stderr), "the configuration has no job `wep`; its jobs: `web`\n");
}

fn convert(folder: &Path, more: &[&str]) -> Output {
    tailwater()
        .args(["convert", "prometheus", "prometheus.yml"])
        .args(more)
        .current_dir(folder)
        .env("HOSTNAME", "host-1")
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
}

#[test]
fn a_prometheus_yml_becomes_a_configuration_and_a_report() {
    let update = std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some();
    let mut wrong = String::new();
    let folders = std::fs::read_dir("tests/cli/convert").expect("goldens");
    for folder in folders.map(|entry| entry.expect("readable").path()) {
        // Lines are folded where they are too long, so that the folder's name has to have a length of its own.
        let copy = tempfile::Builder::new().prefix("tailwater-convert-").tempdir_in("/tmp").expect("a folder");
        std::fs::copy(folder.join("prometheus.yml"), copy.path().join("prometheus.yml")).expect("copied");
        let ran = convert(copy.path(), &["-o", "tailwater.yaml"]);
        let place = std::path::absolute(copy.path()).expect("a path");
        let told = |text: &str| text.replace(place.to_str().expect("UTF-8"), "/FOLDER");
        let yaml = std::fs::read_to_string(copy.path().join("tailwater.yaml")).expect("written");
        let (yaml, report) = (told(&yaml), told(text(&ran.stderr)));
        let report = format!("{report}exit code {}\n", ran.status.code().expect("it ended by itself"));
        for (name, got) in [("expected.yaml", yaml), ("expected.txt", report)] {
            if update {
                std::fs::write(folder.join(name), &got).expect("written");
            }
            let wanted = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            if got != wanted {
                writeln!(wrong, "{}/{name}:\n--- expected\n{wanted}\n--- got\n{got}", folder.display())
                    .expect("memory");
            }
        }
        // What is written to a file and what is printed differ in where secrets are, and only there.
        let valid = run(&["validate", "--config", copy.path().join("tailwater.yaml").to_str().expect("UTF-8")]);
        assert_eq!(valid.status.code() == Some(0), ran.status.code() != Some(3), "{}", text(&valid.stdout));
    }
    assert!(wrong.is_empty(), "\n{wrong}\nset TAILWATER_UPDATE_GOLDENS=1 to write what is got");
}

/// A folder with the prometheus.yml of this golden, and its rules.
fn folder(golden: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let from = format!("tests/cli/convert/{golden}");
    std::fs::copy(format!("{from}/prometheus.yml"), folder.path().join("prometheus.yml")).expect("copied");
    if let Ok(rules) = std::fs::read_dir(format!("{from}/rules")) {
        std::fs::create_dir(folder.path().join("rules")).expect("made");
        for rules in rules.map(|entry| entry.expect("readable")) {
            std::fs::copy(rules.path(), folder.path().join("rules").join(rules.file_name())).expect("copied");
        }
    }
    folder
}

#[test]
fn secrets_are_kept_for_their_owner_alone_or_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder("secrets");
    let ran = convert(folder.path(), &[]);
    assert_eq!(ran.status.code(), Some(5), "valid, once the variables are set: {}", text(&ran.stderr));
    assert!(text(&ran.stdout).contains("password: \"${env:LOGIN_PASSWORD}\""), "{}", text(&ran.stdout));
    assert!(text(&ran.stderr).contains("is read from the variable LOGIN_PASSWORD: set it"), "{}", text(&ran.stderr));
    let ran_into = convert(folder.path(), &["-o", "tailwater.yaml"]);
    let result = std::fs::read_to_string(folder.path().join("tailwater.yaml")).expect("written");
    for told in [text(&ran.stdout), text(&ran.stderr), text(&ran_into.stdout), text(&ran_into.stderr), &result] {
        assert!(!told.contains("hush"), "{told}");
    }
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let kept = folder.path().join("tailwater.yaml.secrets");
    for (name, secret) in [
        ("login-password", "hush-writer"),
        ("login-x-api-key", "hush-api-key"),
        ("listed-password", "hush@list"),
        ("token-username", "hush-token"),
        ("shop-proxy_url", "http://hush-user:hush-word@proxy:3128"),
    ] {
        assert_eq!(std::fs::read_to_string(kept.join(name)).expect("written"), secret);
        assert_eq!(mode(&kept.join(name)), 0o600);
    }
    assert_eq!(mode(&kept), 0o700);
    let names = std::fs::read_dir(&kept).expect("there").map(|entry| entry.expect("readable").path());
    let never = names.filter(|path| std::fs::read_to_string(path).expect("text").contains("never")).count();
    assert_eq!(never, 0, "what Prometheus does not send is left out");
}

#[test]
fn nothing_is_overwritten_unless_that_is_asked_for() {
    let folder = folder("secrets");
    let (result, secret) = ("tailwater.yaml", "tailwater.yaml.secrets/login-password");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("there");
    let ran = convert(folder.path(), &["-o", "no/such/folder/tailwater.yaml"]);
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
    assert!(text(&ran.stderr).contains("there is no folder") && text(&ran.stderr).contains("make it first"));
    assert!(!folder.path().join("no").exists());
    assert_eq!(convert(folder.path(), &["-o", result]).status.code(), Some(5));
    for kept in [result, secret] {
        std::fs::write(folder.path().join(kept), "mine").expect("written");
        let ran = convert(folder.path(), &["-o", result]);
        assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(1), ""));
        assert!(text(&ran.stderr).contains("is there already: give --force to overwrite it"), "{}", text(&ran.stderr));
        assert_eq!(read(kept), "mine");
        if kept == result {
            std::fs::remove_file(folder.path().join(result)).expect("removed");
        }
    }
    assert_eq!(convert(folder.path(), &["-o", result, "--force"]).status.code(), Some(5));
    assert_eq!(read(secret), "hush-writer");
    assert_eq!(convert(folder.path(), &["--force"]).status.code(), Some(2), "it says what is overwritten");
}

#[test]
fn what_is_no_prometheus_yml_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(convert(folder.path(), &[]).status.code(), Some(3), "there is no file");
    std::fs::write(folder.path().join("prometheus.yml"), "a: [b").expect("written");
    let ran = convert(folder.path(), &[]);
    assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(3), ""));
    assert!(text(&ran.stderr).contains("error[TW0002]"));
    let line = "remote_write: [{ url: http://u:hush@host, basic_auth: [ }]";
    std::fs::write(folder.path().join("prometheus.yml"), line).expect("written");
    let told = convert(folder.path(), &[]);
    assert!(text(&told.stderr).contains("http://******@host"), "{}", text(&told.stderr));
}
