//! Nobody waits long behind a log that is written at line speed.

use super::*;
use crate::data::chunk::SLAB_BYTES;

#[tokio::test(start_paused = true)]
async fn a_log_with_data_is_read_after_at_most_a_slab_for_each_other() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut node = Node::new(Format::Text);
    const OTHERS: usize = 30;
    let line = "x".repeat(999) + "\n";
    node.append("busy.log", line.repeat(40_000));
    for n in 0..OTHERS {
        node.append(&format!("other-{n}.log"), "begin\n");
    }
    node.start();
    node.look();
    let mut due: Vec<(String, u64)> = Vec::new();
    let mut worst = 0;
    // After every few batches another log gets a line; the busy one's bytes until it arrives are counted.
    for step in 0..2_000 {
        tokio::task::yield_now().await;
        let seen = node.to.seen.lock().expect("not poisoned");
        let busy: u64 = seen.iter().filter(|seen| seen.log == "busy.log").map(|seen| seen.body.len() as u64 + 1).sum();
        due.retain(|(body, since)| {
            let arrived = seen.iter().any(|seen| seen.body == *body);
            if arrived {
                worst = worst.max(busy - since);
            }
            !arrived
        });
        if busy == 40_000_000 {
            break;
        }
        drop(seen);
        if step % 7 == 0 && due.len() < 10 {
            let body = format!("step {step}");
            node.append(&format!("other-{}.log", random.usize(..OTHERS)), format!("{body}\n"));
            due.push((body, busy));
        }
    }
    let limit = (OTHERS as u64 + 1) * SLAB_BYTES as u64;
    assert!(worst <= limit, "seed {seed}: a line waited for {worst} bytes, more than {limit}");
    for (_, since) in &due {
        let seen = node.to.seen.lock().expect("not poisoned");
        let busy: u64 = seen.iter().filter(|seen| seen.log == "busy.log").map(|seen| seen.body.len() as u64 + 1).sum();
        assert!(busy - since <= limit, "seed {seed}: a line still waits after {} bytes", busy - since);
    }
    node.kill().await;
}
