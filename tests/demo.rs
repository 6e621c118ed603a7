//! `tailwater demo` and a pipe into `tailwater run`, as a person would start them: the real binary, its
//! output and what it leaves on disk.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn tailwater(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The number that a row of the summary shows.
fn row(summary: &str, name: &str) -> u64 {
    let line = summary.lines().find(|line| line.split_whitespace().next() == Some(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no row `{name}` in\n{summary}"))
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("a line is a document")).collect()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_demo_loses_doubles_and_leaks_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("demo");
    let data_text = data.to_str().expect("UTF-8");
    let output = tailwater(&["demo", "--for", "3s", "--rate", "300", "--data", data_text]).output().expect("runs");
    let shown = text(&output);
    assert!(output.status.success(), "{shown}");

    let written = row(&shown, "written");
    assert!(written > 500, "{shown}");
    assert_eq!(row(&shown, "in"), written, "{shown}");
    assert_eq!(row(&shown, "out") + row(&shown, "filtered"), written, "{shown}");
    for name in ["refused", "lost", "extra", "leaked"] {
        assert_eq!(row(&shown, name), 0, "{shown}");
    }
    assert!(shown.contains("steps/clean") && shown.contains("before  ") && shown.contains("after   "), "{shown}");

    let (records, errors) = (documents(&data.join("out/records.ndjson")), documents(&data.join("out/errors.ndjson")));
    assert_eq!((records.len() + errors.len()) as u64, row(&shown, "out"));
    let at = |document: &Value, pointer: &str| document.pointer(pointer).cloned().unwrap_or_default();
    assert!(errors.iter().all(|document| at(document, "/severity_number").as_u64() >= Some(17)));
    let containers: BTreeSet<_> = records
        .iter()
        .map(|document| at(&document["resource"]["attributes"], "/k8s.container.name").to_string())
        .collect();
    let expected = ["cart", "checkout", "kube-proxy", "migrate", "nginx", "search", "web"];
    assert_eq!(containers, expected.map(|name| format!("\"{name}\"")).into());
    let long = records.iter().map(|document| document["attributes"]["items"].as_array().map_or(0, Vec::len)).max();
    assert!(long > Some(1000), "a line that was split, across a rotation, is one record: {long:?}");

    let again = tailwater(&["demo", "--for", "1s", "--rate", "50", "--data", data_text]).output().expect("runs");
    assert!(again.status.success(), "{}", text(&again));
    assert!(row(&text(&again), "written") < written, "the second demo starts anew");
}

#[test]
fn an_interrupted_demo_drains_and_says_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("demo");
    let mut demo = tailwater(&["demo", "--data", data.to_str().expect("UTF-8")]).spawn().expect("runs");
    let mut shown = BufReader::new(demo.stdout.take().expect("piped"));
    let mut begun = String::new();
    while !begun.contains("shop wrote") {
        assert_ne!(shown.read_line(&mut begun).expect("UTF-8"), 0, "{begun}");
    }
    let killed = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().expect("runs");
    assert!(killed.success());
    let mut summary = String::new();
    shown.read_to_string(&mut summary).expect("UTF-8");
    assert!(demo.wait().expect("ends").success(), "{summary}");
    assert!(row(&summary, "written") > 0, "{summary}");
    assert_eq!(row(&summary, "out") + row(&summary, "filtered"), row(&summary, "written"), "{summary}");
    assert_eq!(row(&summary, "lost"), 0, "{summary}");
}

#[test]
fn what_is_piped_in_comes_out_and_the_agent_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out.ndjson");
    let config = folder.path().join("tailwater.yaml");
    let text_of_config = format!(
        "data_dir: {}\nadmin: {{ listen: off }}\nhealth: {{ listen: off }}\n\
         sources: {{ stdin/in: {{}} }}\n\
         sinks: {{ file/out: {{ inputs: [stdin/in], path: {} }} }}\n",
        folder.path().join("state").display(),
        out.display()
    );
    fs::write(&config, text_of_config).expect("writes");
    let mut agent = tailwater(&["run", "--config", config.to_str().expect("UTF-8")]);
    let mut agent = agent.stdin(Stdio::piped()).spawn().expect("runs");
    let mut pipe = agent.stdin.take().expect("piped");
    for number in 0..10_000 {
        writeln!(pipe, "line {number}").expect("the agent reads");
    }
    drop(pipe);
    let output = agent.wait_with_output().expect("ends");
    assert!(output.status.success(), "{}", text(&output));
    let bodies: Vec<_> = documents(&out).iter().map(|document| document["body"]["text"].clone()).collect();
    let expected: Vec<_> = (0..10_000).map(|number| Value::from(format!("line {number}"))).collect();
    assert_eq!(bodies, expected);
}
