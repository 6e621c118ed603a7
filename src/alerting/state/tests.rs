//! What is written is read back, whatever it is, and nothing else.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::missing_input::Lost;
use super::super::moment::Steady;
use super::super::rule::{Held, Instance, Phase, Since};
use super::super::rule_file::Label;
use super::record::{self, Identity, Record};
use super::{KIND, restore};
use crate::data::{LabelSet, UnixNanos};
use crate::delivery::journal::{Place, Restored};
use crate::delivery::simulated_disk::SimulatedDisk;

fn since(at: u64) -> Since {
    Since { wall: UnixNanos(at), steady: Steady(at as i64 - 7) }
}

fn instances() -> Vec<Instance> {
    let mut all = Vec::new();
    let lost = [
        Lost::ScrapeFailed("job".into(), "a:1".into()),
        Lost::ScrapeNotTold("job".into(), "b".into()),
        Lost::Silent("x{}".into()),
        Lost::Refilling("y{}".into()),
        Lost::Nothing,
        Lost::Away,
        Lost::Evaluation,
        Lost::ClockSetBack,
    ];
    let held = lost.into_iter().map(|why| Some(Held { since: since(9), why })).chain([None]);
    for held in held {
        for phase in [
            Phase::Pending,
            Phase::Firing { fired: UnixNanos(5) },
            Phase::Resolved { fired: UnixNanos(5), resolved: since(8) },
        ] {
            all.push(Instance {
                annotations: [("summary", "it is \"so\"")].into_iter().collect(),
                element: [("job", "job"), ("instance", "a:1")].into_iter().collect(),
                value: f64::INFINITY,
                phase,
                active_at: UnixNanos(3),
                counts_from: Steady(-3),
                keeps_firing: held.is_some().then(|| since(4)),
                held: held.clone(),
                sent: held.is_none().then_some(Steady(6)),
                sent_journalled: held.is_none().then_some(Steady(6)),
                changed: false,
                writes: None,
            });
        }
    }
    all
}

fn shown(alert: &Instance) -> String {
    format!("{alert:?}")
}

#[test]
fn every_alert_reads_back_as_it_is() {
    for alert in instances() {
        let bytes = record::alert((1, 2), b"labels", &alert);
        let Some(Record::Alert((1, 2), b"labels", read)) = record::read(&bytes) else { panic!("{alert:?}") };
        assert_eq!(shown(&read), shown(&alert));
        for cut in 0..bytes.len() {
            assert!(record::read(&bytes[..cut]).is_none(), "{cut} of {}", bytes.len());
        }
    }
}

#[test]
fn rules_and_times_read_back_as_they_are() {
    let labels = vec![Label { name: "a".into(), value: "{{ .Value }}".into() }];
    let identity = Identity { file: "f".into(), group: "g".into(), name: "n".into(), expr: "up == 0".into(), labels };
    let Some(Record::Rule((3, 4), read)) = record::read(&record::rule((3, 4), &identity)) else { panic!() };
    assert_eq!(read, identity);
    let Some(Record::Evaluated(5, at)) = record::read(&record::evaluated(5, since(6))) else { panic!() };
    assert_eq!(at, since(6));
    let Some(Record::Gone((7, 8), b"x")) = record::read(&record::gone((7, 8), b"x")) else { panic!() };
}

#[test]
fn what_a_newer_release_wrote_is_passed_over_and_told() {
    let place = Place {
        files: Arc::new(SimulatedDisk::default()),
        folder: PathBuf::from("/alerting"),
        name: "alerts".into(),
        kind: KIND,
    };
    let identity =
        Identity { file: "f".into(), group: "g".into(), name: "n".into(), expr: "x".into(), labels: Vec::new() };
    let mut labels = Vec::new();
    [("alertname", "n")].into_iter().collect::<LabelSet>().encode(&mut labels);
    let alert = instances().remove(0);
    let records = [
        record::evaluated(0, since(1)),
        record::rule((0, 0), &identity),
        vec![1, 99, 1, 2, 3],
        vec![2, 2, 0],
        record::alert((0, 0), &labels, &alert),
        // Of a rule that is not there.
        record::alert((0, 9), &labels, &alert),
        record::evaluated(0, since(70)),
    ];
    place.begin(&Restored::default(), records.iter().map(Vec::as_slice)).expect("begun");
    let found = restore(&place).expect("read");
    assert_eq!(found.rules.len(), 1);
    assert_eq!(
        (found.rules[0].alerts.len(), found.rules[0].evaluated, found.last),
        (1, Some(since(70)), Some(since(70)))
    );
    assert_eq!(found.complaints.len(), 1);
    assert!(found.complaints[0].starts_with("2 records"), "{}", found.complaints[0]);
}

proptest::proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(0u8..5, 0..80)) {
        let _ = record::read(&bytes);
    }
}
