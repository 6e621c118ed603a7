//! A running agent that is told of another configuration, in each of the three ways; one that is wrong
//! leaves the old one running, and the log, the API and the metrics say so.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::agent::{Agent, http, http_as, lines_of, run, text, until};

const SECTIONS: &str = "admin: { listen: \"127.0.0.1:0\" }\nhealth: { listen: \"127.0.0.1:0\" }\n\
                        telemetry: { log: { format: json } }\n";

/// Lines from standard input get the attribute `version` and go to `out`.
fn config(folder: &Path, version: &str) -> String {
    let (data, out) = (folder.join("data"), folder.join("out.ndjson"));
    format!(
        "{SECTIONS}data_dir: {}
sources: {{ stdin/in: {{}} }}
transforms:
  steps/main:
    inputs: [stdin/in]
    steps: [{{ set: 'attributes[\"version\"] = \"{version}\"' }}]
sinks: {{ file/out: {{ inputs: [steps/main], path: {}, fsync: always }} }}
",
        data.display(),
        out.display()
    )
}

/// The versions that the lines of the output were given, in order.
fn versions(folder: &Path, count: usize) -> Vec<String> {
    let text = lines_of(&folder.join("out.ndjson"), count);
    let version = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
        format!(
            "{} {}",
            json["body"]["text"].as_str().unwrap_or_default(),
            json["attributes"]["version"].as_str().unwrap_or_default()
        )
    };
    text.lines().map(version).collect()
}

#[test]
fn a_signal_a_request_and_a_change_of_the_file_each_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let path = at.join("tailwater.yaml");
    fs::write(&path, config(at, "one")).expect("written");
    let mut agent = Agent::start(&path);
    let (admin, health) = agent.listening();
    agent.feed("a");
    assert_eq!(versions(at, 1), ["a one"]);

    fs::write(&path, config(at, "two")).expect("written");
    agent.logged(&["configuration reloaded"]);
    agent.feed("b");
    assert_eq!(versions(at, 2)[1], "b two");

    // The same once more, which changes nothing.
    let before = http("GET", &admin, "/api/v1/status").1;
    agent.signal("HUP");
    agent.logged(&["configuration reloaded"]);
    let after = http("GET", &admin, "/api/v1/status").1;
    let hash =
        |status: &str| serde_json::from_str::<serde_json::Value>(status).expect("JSON")["config"]["hash"].clone();
    assert_eq!(hash(&before), hash(&after));

    let (status, answer) = http("POST", &admin, "/-/reload");
    assert_eq!(status, 200, "{answer}");
    let metrics = http("GET", &health, "/metrics").1;
    assert!(metrics.contains("tailwater_config_last_reload_successful 1"), "{metrics}");
    agent.feed("c");
    assert_eq!(versions(at, 3)[2], "c two");
    let (status, log) = agent.finish();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_wrong_configuration_leaves_the_old_one_running_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let path = at.join("tailwater.yaml");
    fs::write(&path, config(at, "one")).expect("written");
    let mut agent = Agent::start(&path);
    let (admin, health) = agent.listening();

    fs::write(&path, config(at, "two").replace("steps: [", "stpes: [")).expect("written");
    let line = agent.logged(&["configuration rejected"]);
    assert!(line.contains("TW0201") && line.contains("stpes"), "{line}");
    let (status, answer) = http("POST", &admin, "/-/reload");
    assert_eq!(status, 422);
    assert!(answer.contains("TW0201") && answer.contains("tailwater.yaml:9:5"), "{answer}");
    let told: serde_json::Value = serde_json::from_str(&http("GET", &admin, "/api/v1/status").1).expect("JSON");
    let last = &told["config"]["last_reload"];
    assert_eq!(last["accepted"], false);
    assert!(last["reason"].as_str().is_some_and(|reason| reason.contains("did you mean `steps`?")), "{last}");
    assert!(http("GET", &health, "/metrics").1.contains("tailwater_config_last_reload_successful 0"));
    assert_eq!(http("GET", &health, "/readyz").0, 200, "it works on");
    agent.feed("a");
    assert_eq!(versions(at, 1), ["a one"]);

    // What only a restart can change is refused too.
    let moved = config(at, "two").replace("/data\n", "/elsewhere\n");
    fs::write(&path, moved).expect("written");
    agent.logged(&["configuration rejected", "restart the agent"]);

    fs::write(&path, config(at, "three")).expect("written");
    agent.logged(&["configuration reloaded"]);
    agent.feed("b");
    assert_eq!(versions(at, 2)[1], "b three");
    agent.signal("TERM");
    let (status, log) = agent.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_config_map_a_new_file_and_the_file_of_a_value_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let map = at.join("config");
    let value = at.join("version");
    fs::write(&value, "one\n").expect("written");
    let reference = format!("${{file:{}}}", value.display());
    for (name, version) in [("..1", "zero"), ("..2", reference.as_str())] {
        fs::create_dir_all(map.join(name)).expect("created");
        fs::write(map.join(name).join("main.yaml"), config(at, version)).expect("written");
    }
    symlink("..1", map.join("..data")).expect("linked");
    symlink("..data/main.yaml", map.join("main.yaml")).expect("linked");
    let mut agent = Agent::start(&map);
    agent.listening();

    symlink("..2", map.join("..tmp")).expect("linked");
    fs::rename(map.join("..tmp"), map.join("..data")).expect("swung");
    agent.logged(&["configuration reloaded"]);
    agent.feed("a");
    assert_eq!(versions(at, 1), ["a one"]);

    fs::write(&value, "two\n").expect("written");
    agent.logged(&["configuration reloaded"]);
    agent.feed("b");
    assert_eq!(versions(at, 2)[1], "b two");

    let more = format!("sinks: {{ file/more: {{ inputs: [steps/main], path: {} }} }}\n", at.join("more").display());
    fs::write(map.join("more.yaml"), more).expect("written");
    agent.logged(&["configuration reloaded"]);
    agent.feed("c");
    assert!(lines_of(&at.join("more"), 1).contains("\"c\""));
}

#[test]
fn what_cannot_be_had_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let path = at.join("tailwater.yaml");
    fs::write(&path, config(at, "one").replacen("127.0.0.1:0", &format!("127.0.0.1:{port}"), 1)).expect("written");
    let ran = run(&["run", "--config", path.to_str().expect("UTF-8")]);
    assert_eq!(ran.status.code(), Some(1));
    let told = text(&ran.stderr);
    assert!(told.contains(&format!("cannot listen on 127.0.0.1:{port} for `admin`")), "{told}");
    assert!(told.contains("give `admin.listen` another"), "{told}");
}

#[test]
fn an_agent_is_not_ready_while_a_source_has_no_port() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let path = at.join("tailwater.yaml");
    let config = format!(
        "{SECTIONS}data_dir: {}\nsources: {{ zipkin/in: {{ listen: \"{}\" }} }}\n\
         sinks: {{ blackhole/out: {{ inputs: [zipkin/in] }} }}\n",
        at.join("data").display(),
        taken.local_addr().expect("bound")
    );
    fs::write(&path, config).expect("written");
    let mut agent = Agent::start(&path);
    let (_, health) = agent.listening();
    agent.logged(&["component failed", "zipkin/in"]);
    assert_eq!(http("GET", &health, "/readyz"), (503, "not ready: no port for `zipkin/in`\n".to_owned()));
    assert_eq!(http("GET", &health, "/livez").0, 200);
    drop(taken);
    until("the source listens", || http("GET", &health, "/readyz").0 == 200);
}

#[test]
fn a_token_that_changes_in_its_file_is_taken_without_a_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let (path, token) = (at.join("tailwater.yaml"), at.join("token"));
    fs::write(&token, "old\n").expect("written");
    let listen = "admin: { listen: \"127.0.0.1:0\"";
    let with_token = format!("{listen}, token: \"${{file:{}}}\"", token.display());
    fs::write(&path, config(at, "one").replacen(listen, &with_token, 1)).expect("written");
    let mut agent = Agent::start(&path);
    let (admin, _) = agent.listening();
    let status = |token: &str| http_as(token, "GET", &admin, "/api/v1/status").0;
    assert_eq!((status("old"), status("new"), status("")), (200, 401, 401));
    fs::write(&token, "new\n").expect("written");
    until("the new token is taken", || status("new") == 200);
    assert_eq!(status("old"), 401);
    let (_, log) = agent.finish();
    assert!(!log.contains("configuration reloaded"), "{log}");
}

#[test]
fn a_second_agent_is_kept_out_of_the_data_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let path = at.join("tailwater.yaml");
    fs::write(&path, config(at, "one")).expect("written");
    let mut first = Agent::start(&path);
    first.feed("a");
    lines_of(&at.join("out.ndjson"), 1);
    let second = run(&["run", "--config", path.to_str().expect("UTF-8")]);
    assert_eq!(second.status.code(), Some(1));
    let told = text(&second.stderr);
    assert!(told.contains("another agent (process "), "{told}");
    assert!(told.contains("a `data_dir` of its own"), "{told}");
    assert_eq!(first.finish().0.code(), Some(0));
}

#[test]
fn a_data_folder_that_cannot_be_made_is_told_and_done_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let path = at.join("tailwater.yaml");
    fs::write(at.join("data"), "a file stands here").expect("written");
    fs::write(&path, config(at, "one")).expect("written");
    let mut agent = Agent::start(&path);
    let line = agent.logged(&["data_dir cannot be written"]);
    assert!(line.contains("or give another `data_dir`"), "{line}");
    agent.feed("a");
    assert_eq!(versions(at, 1), ["a one"]);
    assert_eq!(agent.finish().0.code(), Some(0));
}

#[test]
fn reloads_under_load_lose_nothing_and_double_nothing() {
    const RELOADS: usize = 12;
    const LINES_AT_LEAST: u64 = 20_000;
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let (path, input) = (at.join("tailwater.yaml"), at.join("input.log"));
    fs::write(&input, "").expect("written");
    // Every reload changes the step, and every second one the sink.
    let write = |round: usize| {
        let source = format!("file/in: {{ include: [{}] }}", input.display());
        let text = config(at, &round.to_string()).replace("stdin/in: {}", &source).replace("stdin/in", "file/in");
        let text = text.replace("fsync: always", &format!("max_files: {}", 50 + round / 2));
        fs::write(&path, text).expect("written");
    };
    write(0);
    let mut agent = Agent::start(&path);
    let (admin, _) = agent.listening();

    let stop = std::sync::atomic::AtomicBool::new(false);
    /// Ends the writer also where an assertion fails.
    struct Stop<'a>(&'a std::sync::atomic::AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut file = fs::OpenOptions::new().append(true).open(&input).expect("open");
            let mut written = 0u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) || written < LINES_AT_LEAST {
                let lines: String = (written..written + 100).map(|n| format!("line {n}\n")).collect();
                file.write_all(lines.as_bytes()).expect("written");
                written += 100;
                // About 100 MB/s would fill the disk before twelve reloads are done.
                std::thread::park_timeout(std::time::Duration::from_millis(1));
            }
            written
        });
        let stopping = Stop(&stop);
        for round in 1..=RELOADS {
            write(round);
            let (status, answer) = http("POST", &admin, "/-/reload");
            assert_eq!(status, 200, "{answer}");
        }
        drop(stopping);
        writer.join().expect("no panic")
    });
    let text = lines_of(&at.join("out.ndjson"), usize::try_from(written).expect("few"));
    let number = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let body = json["body"]["text"].as_str().expect("a text").strip_prefix("line ").expect("ours").to_owned();
        body.parse::<u64>().expect("a number")
    };
    let mut numbers: Vec<u64> = text.lines().map(number).collect();
    numbers.sort_unstable();
    let (doubled, expected) =
        (numbers.windows(2).filter(|pair| pair[0] == pair[1]).count(), (0..written).collect::<Vec<_>>());
    assert_eq!(doubled, 0, "of {written} lines");
    assert!(numbers == expected, "{} of {written} lines arrived", numbers.len());
    agent.signal("TERM");
    assert_eq!(agent.ended().0.code(), Some(0));
}
