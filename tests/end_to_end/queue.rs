//! The disk queue of the binary: what a destination does not take outlives the log files and the process.

use std::time::SystemTime;

use tailwater::delivery::checkpoint::Checkpoint;

use crate::agent::Agent;
use crate::fault_proxy::{Fault, FaultProxy};
use crate::hung::{free_port, metric, reaches, stored};
use crate::node::Node;
use crate::server::{Server, unique, until};

const ROTATIONS: u64 = 20;
const LINES_A_ROTATION: u64 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_that_are_rotated_away_and_deleted_are_rescued_by_the_disk_queue() {
    let server = Server::shared();
    let proxy = FaultProxy::start(server.address()).await;
    proxy.all_bulks(Fault::HangBefore);
    let mut node = Node::new(1);
    let target = unique("rescue");
    let health = free_port();
    // Far less may be held open than is written while the destination hangs.
    let config = node.configure(&format!(
        r#"
data_dir: {data}
admin: {{ listen: "127.0.0.1:0" }}
health: {{ listen: "127.0.0.1:{health}" }}
sources:
  file/containers: {{ include: ["{logs}/*.log"], format: container, start_at: beginning, held_files: 1MiB }}
sinks:
  elasticsearch/late:
    inputs: [file/containers]
    endpoints: ["http://{proxy}"]
    index: {target}
    timeout: 2s
    buffer: {{ memory: 1MiB, disk: 1GiB, min_free: 0% }}
"#,
        data = node.path("data"),
        logs = node.path("containers"),
        proxy = proxy.address(),
    ));
    let agent = Agent::start(&config);
    let metrics = std::net::SocketAddr::from(([127, 0, 0, 1], health));
    until("the agent listens", || std::future::ready(agent.log().contains("health listens"))).await;
    let mut written = 0;
    for _ in 0..ROTATIONS {
        for _ in 0..LINES_A_ROTATION {
            node.write(0, 'F', &format!("{written:0960}"));
            written += 1;
        }
        let rotated = node.rotate(0);
        until("the agent has seen the file", || async {
            // It may have been read to its end and closed before this looks.
            let waiting = metric(metrics, "tailwater_disk_queue_records", "elasticsearch/late").await;
            agent.has_open(&rotated) || waiting == written
        })
        .await;
        std::fs::remove_file(&rotated).expect("removes");
    }
    reaches(written, async || metric(metrics, "tailwater_disk_queue_records", "elasticsearch/late").await).await;
    assert_eq!(metric(metrics, "tailwater_bytes_lost_total", "").await, 0, "nothing was given up");
    assert!(metric(metrics, "tailwater_disk_queue_bytes", "").await > 0);
    let folder = node.root.path().join("data/queue/elasticsearch/late");
    // A deleted file is closed once everything in it is settled: now the disk queue has it all.
    until("nothing deleted is held", || std::future::ready(agent.descriptors().1 == 0)).await;
    // Killed before that is written down, it would have to count the deleted files as lost. One more line makes it write
    // the positions once more.
    let (settled, checkpoint) = (SystemTime::now(), Checkpoint::new(&node.root.path().join("data"), "file/containers"));
    node.write(0, 'F', &format!("{written:0960}"));
    written += 1;
    reaches(written, async || metric(metrics, "tailwater_disk_queue_records", "elasticsearch/late").await).await;
    let saved =
        || std::fs::metadata(checkpoint.path()).and_then(|file| file.modified()).is_ok_and(|time| time > settled);
    until("the positions are written down", || std::future::ready(saved())).await;
    agent.kill();
    assert!(segments(&folder) > 0);

    proxy.decide(|_| Fault::Pass);
    let agent = Agent::start(&config);
    reaches(written, async || stored(&target).await).await;
    until("the queue is empty", || async { metric(metrics, "tailwater_disk_queue_records", "").await == 0 }).await;
    assert_eq!(metric(metrics, "tailwater_bytes_lost_total", "").await, 0);
    agent.stop();
    assert_eq!(segments(&folder), 0, "what is delivered is not kept");
    assert_eq!(stored(&target).await, written);
}

fn segments(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "segment")).count()
}
