//! Reads the samples that the agent wrote of the shop's metrics, and keeps the last of each series.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::results::{Output, ResultsError};

/// The output of the sink that has the samples.
pub struct Samples {
    output: Output,
    orders: BTreeMap<String, f64>,
}

/// A line of the output.
#[derive(serde::Deserialize)]
struct Line {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    value: String,
}

impl Samples {
    /// Reads the file at this path, which need not exist yet.
    pub fn new(path: PathBuf) -> Self {
        Self { output: Output::new(path), orders: BTreeMap::new() }
    }

    /// Reads what is new.
    pub fn look(&mut self) -> Result<(), ResultsError> {
        let Self { output, orders } = self;
        output.read(|line| {
            let Ok(Line { labels, value }) = serde_json::from_slice::<Line>(line) else { return };
            let (name, status) = (labels.get("__name__"), labels.get("status"));
            if let (Some("shop_orders_total"), Some(status), Ok(value)) =
                (name.map(String::as_str), status, value.parse())
            {
                orders.insert(status.clone(), value);
            }
        })
    }

    /// Orders by the last samples: accepted, declined.
    pub fn orders(&self) -> (u64, u64) {
        let of = |status: &str| self.orders.get(status).map_or(0, |value| *value as u64);
        (of("accepted"), of("declined"))
    }

    /// Samples read so far.
    pub fn lines(&self) -> u64 {
        self.output.lines()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sample_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("samples.ndjson");
        let line = |name: &str, status: &str, value: &str| {
            let labels = serde_json::json!({ "__name__": name, "status": status });
            serde_json::json!({ "labels": labels, "timestamp": 1, "value": value }).to_string() + "\n"
        };
        let text = [
            line("shop_orders_total", "accepted", "3"),
            line("shop_orders_total", "declined", "1"),
            line("up", "", "1"),
            line("shop_orders_total", "accepted", "12"),
        ];
        std::fs::write(&path, text.concat()).expect("writes");
        let mut samples = Samples::new(path);
        samples.look().expect("reads");
        assert_eq!((samples.orders(), samples.lines()), ((12, 1), 4));
    }
}
