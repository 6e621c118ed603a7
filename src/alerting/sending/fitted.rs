//! Groups of so many alerts that no page says all of them: it says fewer, rather than that nobody is told of any.

use crate::alerting::alert::Alert;
use crate::alerting::notifier::{MOST_PAGE, WriteError};
use crate::data::UnixMillis;

/// What is written of the alerts, or of half of them, or of half of those, until it is no longer than a page may be and within
/// the limits of templates. What fires is told before what is over. What has one alert is returned as it is.
///
/// # Errors
/// Where not even one alert can be written.
pub fn fitted(
    kind: &str,
    mut alerts: Vec<Alert>,
    now: UnixMillis,
    write: impl Fn(&[Alert]) -> Result<Vec<u8>, WriteError>,
) -> Result<Vec<u8>, WriteError> {
    let all = alerts.len();
    let mut written = write(&alerts);
    while alerts.len() > 1 && written.as_ref().map_or(true, |body| body.len() > MOST_PAGE) {
        if alerts.len() == all {
            alerts.sort_by_key(|alert| alert.is_resolved(now));
        }
        alerts.truncate(alerts.len() / 2);
        written = write(&alerts);
    }
    if written.is_ok() && alerts.len() < all {
        tracing::warn!(
            kind,
            alerts = all,
            told = alerts.len(),
            "a page cannot say all alerts of a group: some are left out"
        );
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::sending::tests::{NOW, alert};

    /// Ten of these fill a page.
    const EACH: usize = MOST_PAGE / 10;

    type Write = dyn Fn(&[Alert]) -> Result<Vec<u8>, WriteError>;

    fn alerts(count: usize) -> Vec<Alert> {
        // The first of them are over.
        let ends = |at: usize| if at < count - 1 { NOW.0 - 1 } else { i64::MAX };
        (0..count).map(|at| alert(&[("alertname", "Down"), ("pod", &at.to_string())], 0, ends(at))).collect()
    }

    #[test]
    fn fewer_alerts_are_told_where_all_of_them_are_too_long_or_too_much() {
        let of = |count: usize, write: &Write| {
            fitted("a", alerts(count), NOW, write).map(|body| body.len()).map_err(|error| error.0)
        };
        assert_eq!(of(10, &|alerts| Ok(vec![0; alerts.len() * EACH])), Ok(10 * EACH));
        assert_eq!(of(11, &|alerts| Ok(vec![0; alerts.len() * EACH])), Ok(5 * EACH));
        let template = |alerts: &[Alert]| match alerts.len() {
            1..=3 => Ok(vec![u8::from(alerts[0].is_resolved(NOW)); alerts.len()]),
            _ => Err(WriteError("it writes too much".into())),
        };
        assert_eq!(of(100, &template), Ok(3));
        assert_eq!(fitted("a", alerts(100), NOW, template).ok(), Some(vec![0; 3]), "what fires is told first");
        assert_eq!(of(1, &|_| Ok(vec![0; MOST_PAGE + 1])), Ok(MOST_PAGE + 1));
        assert_eq!(of(9, &|_| Err(WriteError("it fails".into()))), Err("it fails".into()));
    }
}
