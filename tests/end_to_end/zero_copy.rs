//! Bytes are read once and written once: what the process copies is what it writes, and next to nothing
//! more. Counted by valgrind, on an optimised build, as the difference between a run over some records and
//! one over twice as many.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fault_proxy::FaultProxy;
use crate::node::Node;
use crate::server::{Server, unique};

const RECORDS: u64 = 20_000;

/// What one run did.
#[derive(Debug)]
struct Run {
    copied: u64,
    bodies: u64,
    read: u64,
}

/// The agent as it is shipped, but for the link-time optimisation, which takes long.
fn optimised() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--profile", "optimised", "--bin", "tailwater"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.expect("cargo is there").success(), "the optimised build fails");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder in the target folder");
    target.join("optimised/tailwater")
}

async fn run(program: &Path, records: u64) -> Run {
    let server = Server::shared();
    let proxy = FaultProxy::start(server.address()).await;
    let mut node = Node::new(1);
    let target = unique("zero-copy");
    for n in 0..records {
        let level = if n % 2 == 0 { "debug" } else { "info" };
        let padding = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt";
        node.write(
            0,
            'F',
            &format!(
                r#"{{"level":"{level}","n":{n},"msg":"{padding}","service":"checkout","method":"GET","path":"/cart/items/{n}","status":200,"duration_ms":1.25,"user_agent":"Mozilla/5.0 (X11; Linux x86_64)"}}"#
            ),
        );
    }
    let log = node.root.path().join("pods/shop_web-0_uid-0/web/0.log");
    let read = std::fs::metadata(&log).expect("is there").len();
    let config = node.configure(&format!(
        r#"
data_dir: {data}
admin: {{ listen: "127.0.0.1:0" }}
health: {{ listen: "127.0.0.1:0" }}
sources:
  file/containers: {{ include: ["{logs}/*.log"], format: container, start_at: beginning }}
transforms:
  steps/main:
    inputs: [file/containers]
    steps:
      - parse_json: {{ on_error: keep }}
      - drop: 'attributes["level"] == "debug"'
# What a request costs beside its body must not depend on how fast valgrind is: requests are full.
sinks:
  elasticsearch/{target}:
    {{ inputs: [steps/main], endpoints: ["http://{proxy}"], index: {target}, mapping: ecs, compression: none, batch: {{ linger: 20s }} }}
"#,
        data = node.path("data"),
        logs = node.path("containers"),
        proxy = proxy.address(),
    ));
    let report = node.root.path().join("dhat.txt");
    let mut agent = Command::new("valgrind")
        .args(["--tool=dhat", "--mode=copy", "--dhat-out-file=/dev/null"])
        .arg(format!("--log-file={}", report.display()))
        .arg(program)
        .args(["run", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("valgrind is there");
    let stored = async || {
        if server.ask("POST", &format!("/{target}/_refresh"), serde_json::Value::Null).await.0 != 200 {
            return 0;
        }
        server.must("GET", &format!("/{target}/_count"), serde_json::Value::Null).await["count"].as_u64().unwrap_or(0)
    };
    let end = Instant::now() + Duration::from_secs(240);
    while stored().await != records / 2 {
        assert!(Instant::now() < end, "not every record is stored in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let told = Command::new("kill").arg(agent.id().to_string()).status();
    assert!(told.expect("kill is there").success());
    let end = Instant::now() + Duration::from_secs(60);
    while agent.try_wait().expect("it can be waited for").is_none() {
        assert!(Instant::now() < end, "the agent does not end");
        std::thread::yield_now();
    }
    let text = std::fs::read_to_string(&report).expect("valgrind reports");
    let total = text.lines().find_map(|line| line.split_once("Total:")).expect("a total").1;
    let copied = total.split_whitespace().next().expect("a number").replace(',', "").parse().expect("a number");
    let bodies = proxy.seen_bulks().iter().map(|seen| seen.request.body.len() as u64).sum();
    Run { copied, bodies, read }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_copied_is_what_is_written() {
    let program = optimised();
    let once = run(&program, RECORDS).await;
    let twice = run(&program, 2 * RECORDS).await;
    let copied = twice.copied - once.copied;
    let (bodies, read) = (twice.bodies - once.bodies, twice.read - once.read);
    eprintln!("for {read} bytes read and {bodies} written, {copied} were copied");
    assert!(copied <= bodies + read / 10, "{copied} bytes copied for {bodies} written and {read} read");
}
