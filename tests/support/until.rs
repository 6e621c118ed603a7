//! Waiting for what others do, with a limit that no machine under load needs.

use std::time::Duration;

/// Waits until a condition holds; fails after two minutes in these words.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(120), wait).await.is_ok(), "not within two minutes: {what}");
}
