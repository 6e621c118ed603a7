//! Verbs that end by themselves.

use std::path::PathBuf;

use super::agent::{run, tailwater, text};

fn file(folder: &tempfile::TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("written");
    path
}

const GOOD: &str = r#"
sources: { stdin/in: {} }
transforms:
  steps/main:
    inputs: [stdin/in]
    steps:
      - parse_json: {}
      - drop: 'attributes["level"] == "debug"'
      - set: 'attributes["env"] = "prod"'
sinks:
  console/out: { inputs: [steps/main] }
  blackhole/all: { inputs: [stdin/in] }
tests:
  - name: debug is dropped
    at: steps/main
    input: [{ body: '{"level":"debug"}' }, { body: '{"level":"info"}' }]
    expect: [{ attributes: { level: info, env: prod } }]
"#;

#[test]
fn version_help_and_a_wrong_command_line() {
    let version = run(&["--version"]);
    assert_eq!(text(&version.stdout), format!("tailwater {}\n", env!("CARGO_PKG_VERSION")));
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for verb in [
        "run", "validate", "test", "graph", "check", "targets", "alerts", "silence", "relabel", "rules", "promql",
        "convert", "explain", "schema",
    ] {
        assert!(text(&help.stdout).contains(&format!("  {verb} ")), "{verb} is listed");
        let help = run(&[verb, "--help"]);
        assert!(text(&help.stdout).contains("Example"), "{verb} has an example");
    }
    assert!(text(&help.stdout).contains("3  the configuration is wrong"));
    assert_eq!(run(&["validate"]).status.code(), Some(2));
    assert_eq!(run(&["unknown"]).status.code(), Some(2));
}

#[test]
fn a_silence_that_makes_no_sense_is_no_question_to_an_agent() {
    let nobody = "--admin=http://127.0.0.1:1";
    for (arguments, told) in [
        (["--comment", ""], "--comment is empty: write why the alerts are silenced"),
        (["--comment=x", "--author="], "write --author NAME"),
        (["--comment=x", "--duration=0"], "a duration is above zero"),
    ] {
        let ran = run(&[&["silence", "add", nobody, "Down"][..], &arguments[..]].concat());
        assert!(ran.status.code() == Some(2) && text(&ran.stderr).contains(told), "{}", text(&ran.stderr));
    }
    for option in ["--duration", "-d"] {
        let ran = run(&["silence", "add", nobody, "Down", "--comment=x", option, "-1h"]);
        assert!(text(&ran.stderr).contains("a duration is above zero"), "{}", text(&ran.stderr));
    }
}

#[test]
fn scripts_of_promql_are_told_line_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = file(&folder, "good.test", "load 1m\n  a 1\n\neval instant at 1m 1\n  1\n");
    let ran = run(&["promql", "test", good.to_str().expect("UTF-8")]);
    let told = format!("ok      {}: 1 evaluation\n\n1 script, 1 evaluation, 0 failed\n", good.display());
    assert_eq!((text(&ran.stdout), ran.status.code()), (told.as_str(), Some(0)), "{}", text(&ran.stderr));

    let wrong = file(&folder, "wrong.test", "eval instant at 1m 1\n  2\n\neval instant at 1m 1 +\n");
    let none = file(&folder, "none.test", "\nload 1m\n  a b\n");
    let ran = run(&["promql", "test", wrong.to_str().expect("UTF-8"), none.to_str().expect("UTF-8")]);
    let told = text(&ran.stdout);
    for part in [
        "wrong.test: 2 evaluations, 2 failed\n",
        "wrong.test:1: 1\n        expected  2\n        got       1\n",
        "wrong.test:4: 1 +\n        expected  PromQL\n",
        "none.test:3: column 3: expected `_`, `stale`, a histogram or a number, found `b`\n",
        "\n2 scripts, 2 evaluations, 2 failed, 1 script not read\n",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!(ran.status.code(), Some(4));
    assert_eq!(run(&["promql", "test", "absent.test"]).status.code(), Some(1));
}

#[test]
fn validate_says_everything_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = file(&folder, "good.yaml", GOOD);
    let ran = run(&["validate", "--config", good.to_str().expect("UTF-8")]);
    assert_eq!(ran.status.code(), Some(0));
    assert_eq!(text(&ran.stdout), "the configuration is valid: 1 source, 1 transform, 2 sinks, 1 test\n");

    let bad = file(
        &folder,
        "bad.yaml",
        "sources: { stdin/in: { formt: text } }\nsinks: { blackhole/out: { inputs: [stdn/in] } }\n",
    );
    let ran = run(&["validate", "--config", bad.to_str().expect("UTF-8")]);
    assert_eq!(ran.status.code(), Some(3));
    let told = text(&ran.stdout);
    for part in ["error[TW0201]", "bad.yaml:1:24", "did you mean `format`?", "error[TW0305]", "\n2 errors\n"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let ran = run(&["validate", "--format", "json", "--config", bad.to_str().expect("UTF-8")]);
    assert_eq!(ran.status.code(), Some(3));
    let json: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert_eq!(
        (&json["valid"], &json["errors"][1]["code"], &json["errors"][1]["line"]),
        (&false.into(), &"TW0305".into(), &2.into())
    );
    // `run` refuses it in the same words.
    let ran = run(&["run", "--config", bad.to_str().expect("UTF-8")]);
    assert_eq!(ran.status.code(), Some(3));
    assert!(told.starts_with(text(&ran.stderr).trim_end()), "{}", text(&ran.stderr));
}

#[test]
fn test_runs_the_tests_of_the_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = file(&folder, "good.yaml", GOOD);
    let ran = run(&["test", "--config", good.to_str().expect("UTF-8")]);
    assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(0), "ok      debug is dropped\n\n1 passed, 0 failed\n"));

    let failing = GOOD.replace("level: info, env: prod } }]", "level: null, env: dev } }, { body: more }]");
    let failing = file(&folder, "failing.yaml", &failing);
    let failing = failing.to_str().expect("UTF-8");
    let ran = run(&["test", "--config", failing]);
    assert_eq!(ran.status.code(), Some(4));
    let expected = format!(
        "FAILED  debug is dropped
   --> {failing}:14:11, at steps/main
        record 1: attributes[\"env\"]
          expected  \"dev\"
          got       \"prod\"
        record 1: attributes[\"level\"]
          expected  (absent)
          got       \"info\"
        record 2 did not come; expected {{\"body\":\"more\"}}

0 passed, 1 failed
"
    );
    assert_eq!(text(&ran.stdout), expected);
    let ran = run(&["test", "--only", "no such name", "--config", failing]);
    assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(4), "no test has such a name\n"));
}

#[test]
fn graph_draws_what_feeds_what() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = file(&folder, "good.yaml", GOOD);
    let draw = |format| run(&["graph", "--format", format, "--config", good.to_str().expect("UTF-8")]);
    let dot = r#"digraph tailwater {
  rankdir=LR;
  node [fontname="sans-serif"];
  "stdin/in" [shape=cds];
  "steps/main" [shape=box];
  "console/out" [shape=cylinder];
  "blackhole/all" [shape=cylinder];
  "stdin/in" -> "steps/main";
  "steps/main" -> "console/out";
  "stdin/in" -> "blackhole/all";
}
"#;
    assert_eq!(text(&draw("dot").stdout), dot);
    let mermaid = r#"flowchart LR
  c0>"stdin/in"]
  c1["steps/main"]
  c2[("console/out")]
  c3[("blackhole/all")]
  c0 --> c1
  c1 --> c2
  c0 --> c3
"#;
    assert_eq!(text(&draw("mermaid").stdout), mermaid);
}

#[test]
fn explain_and_schema() {
    assert!(text(&run(&["explain", "TW0305"]).stdout).starts_with("TW0305: an input leads nowhere\n"));
    let unknown = run(&["explain", "TW9999"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("there is no code `TW9999`"));
    let schema: serde_json::Value = serde_json::from_slice(&run(&["schema"]).stdout).expect("JSON");
    assert!(schema["properties"]["sinks"]["patternProperties"]["^blackhole/[a-z0-9_-]+$"].is_object());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = tailwater().arg("schema").stdout(std::process::Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn check_openmetrics_tells_line_column_and_reason() {
    let checked = |body: &str| {
        use std::io::Write;
        let mut checker = super::agent::tailwater()
            .args(["check", "openmetrics"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the binary starts");
        checker.stdin.take().expect("piped").write_all(body.as_bytes()).expect("it reads to the end");
        checker.wait_with_output().expect("it ends")
    };
    let ran = checked("# TYPE a counter\na_total 1\na_created 5\nb 1\n# EOF\n");
    assert_eq!(ran.status.code(), Some(0));
    assert_eq!(text(&ran.stdout), "the exposition is valid: 2 metric families, 3 samples\n");
    let ran = checked("# TYPE a counter\na_total 1\na_total -1\n# EOF\n");
    assert_eq!(ran.status.code(), Some(1));
    assert_eq!((text(&ran.stdout), text(&ran.stderr)), ("", "3:9: the value must not be negative\n"));
    let told = text(&checked("a 1\nb{c=\"d\"} 2 1000\n").stderr).to_owned();
    assert!(told.starts_with("3:1: ") && told.contains("looks like Prometheus's text format"), "{told}");
    assert_eq!(run(&["check"]).status.code(), Some(2));
}

#[test]
fn validate_says_what_rules_there_are_and_where_they_can_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = "groups:\n- name: g\n  rules:\n  - {alert: Down, expr: up == 0}\n  - {record: 'job:x', expr: sum by (job) (x)}\n  - {alert: Far, expr: 'avg_over_time(up[30d]) < 1'}\n";
    let rules = file(&folder, "rules.yaml", rules);
    let config = format!(
        "identity: {{ cluster: c, role: aggregator }}\nsources: {{ internal/i: {{}} }}\nalerting:\n  inputs: [internal/i]\n  rule_files: \
         [{}]\n  remote: {{ url: 'http://localhost:9' }}\n",
        rules.display()
    );
    let config = file(&folder, "tailwater.yaml", &config);
    let ran = run(&["validate", "--config", config.to_str().expect("UTF-8")]);
    let told = text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(0), "{told}");
    let expected = "\nalerting: 1 rule file, 1 group, 2 alerting rules, 1 recording rule, 0 receivers; on a node can run all but 1, \
                    which need the series of all nodes; `alerting.remote` evaluates 1\n";
    assert!(told.ends_with(expected), "{told}");
}
