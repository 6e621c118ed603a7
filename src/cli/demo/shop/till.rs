//! What the shop counts of itself while it writes its logs, as its applications expose it: the numbers of the
//! metrics are the numbers of the logs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something that happened and is counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A payment ended, after so many milliseconds.
    Payment {
        /// Whether it was accepted.
        accepted: bool,
        /// Milliseconds that it took.
        millis: u32,
    },
    /// A page was answered with this status.
    Request {
        /// The status.
        code: u16,
    },
}

/// Upper bounds of the buckets of payments, in milliseconds and as `le` has them.
const BUCKETS: [(u32, &str); 5] = [(50, "0.05"), (100, "0.1"), (250, "0.25"), (500, "0.5"), (1000, "1.0")];

/// Counts of a shop. Shared by the containers, which count, and the endpoints, which show.
#[derive(Debug, Default)]
pub struct Till(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    accepted: u64,
    declined: u64,
    buckets: [u64; BUCKETS.len()],
    millis: u64,
    requests: BTreeMap<u16, u64>,
}

impl Till {
    /// Counts what happened.
    pub fn count(&self, event: Event) {
        let mut counts = self.lock();
        match event {
            Event::Payment { accepted, millis } => {
                *if accepted { &mut counts.accepted } else { &mut counts.declined } += 1;
                counts.millis += u64::from(millis);
                for (bucket, (bound, _)) in counts.buckets.iter_mut().zip(BUCKETS) {
                    *bucket += u64::from(millis <= bound);
                }
            }
            Event::Request { code } => *counts.requests.entry(code).or_default() += 1,
        }
    }

    /// Orders whose payment was accepted, and declined.
    pub fn orders(&self) -> (u64, u64) {
        let counts = self.lock();
        (counts.accepted, counts.declined)
    }

    /// What the checkout exposes, in OpenMetrics.
    pub fn checkout(&self) -> String {
        let counts = self.lock();
        let orders = counts.accepted + counts.declined;
        let mut text =
            String::from("# HELP shop_orders Orders, by how their payment ended.\n# TYPE shop_orders counter\n");
        // Writing into memory does not fail.
        let _ = writeln!(text, "shop_orders_total{{status=\"accepted\"}} {}", counts.accepted);
        let _ = writeln!(text, "shop_orders_total{{status=\"declined\"}} {}", counts.declined);
        text.push_str(
            "# HELP shop_payment_seconds Time that payments took.\n# TYPE shop_payment_seconds histogram\n\
             # UNIT shop_payment_seconds seconds\n",
        );
        for (count, (_, bound)) in counts.buckets.iter().zip(BUCKETS) {
            let _ = writeln!(text, "shop_payment_seconds_bucket{{le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(text, "shop_payment_seconds_bucket{{le=\"+Inf\"}} {orders}");
        let _ = writeln!(text, "shop_payment_seconds_sum {}", counts.millis as f64 / 1000.0);
        let _ = writeln!(text, "shop_payment_seconds_count {orders}");
        text.push_str("# EOF\n");
        text
    }

    /// What the web server exposes, in OpenMetrics.
    pub fn web(&self) -> String {
        let mut text = String::from("# HELP shop_requests Pages, by status.\n# TYPE shop_requests counter\n");
        for (code, count) in &self.lock().requests {
            let _ = writeln!(text, "shop_requests_total{{code=\"{code}\"}} {count}");
        }
        text.push_str("# EOF\n");
        text
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::prometheus::openmetrics::strict;

    #[test]
    fn what_is_exposed_is_valid_and_adds_up() {
        let till = Till::default();
        for (accepted, millis) in [(true, 40), (true, 250), (false, 2000)] {
            till.count(Event::Payment { accepted, millis });
        }
        [200, 504, 200].into_iter().for_each(|code| till.count(Event::Request { code }));
        assert_eq!(till.orders(), (2, 1));
        let (checkout, web) = (till.checkout(), till.web());
        for text in [&checkout, &web] {
            assert!(strict::check(text.as_bytes()).is_ok(), "{text}");
        }
        for line in [
            "shop_orders_total{status=\"accepted\"} 2\n",
            "shop_payment_seconds_bucket{le=\"0.05\"} 1\n",
            "shop_payment_seconds_bucket{le=\"0.25\"} 2\n",
            "shop_payment_seconds_bucket{le=\"+Inf\"} 3\n",
            "shop_payment_seconds_sum 2.29\n",
        ] {
            assert!(checkout.contains(line), "{line}{checkout}");
        }
        assert!(web.contains("shop_requests_total{code=\"200\"} 2\n"), "{web}");
    }
}
