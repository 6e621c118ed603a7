//! As it runs, in real time: what is on time, what waits for nobody, and what ends.

use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::*;
use crate::alerting::dispatch::testing::alert;
use crate::alerting::paging::{Disk, Dispatch, Door, PostError, Receivers, StartError};
use crate::alerting::sending::Target;
use crate::alerting::{Alert, Notification, Notifier, Page, PageKind, Refusal, WriteError};
use crate::data::UnixMillis;
use crate::delivery::files::RealFiles;
use crate::delivery::simulated_disk::{SimulatedDisk, Stop};
use crate::telemetry::Telemetry;

/// Longest time that anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

/// What somebody was sent; one that `hangs` never answers, and one of the kind `broken` panics.
struct Phone {
    kind: &'static str,
    hangs: bool,
    sent: Mutex<Vec<String>>,
}

fn phone(kind: &'static str, hangs: bool) -> Arc<Phone> {
    Arc::new(Phone { kind, hangs, sent: Mutex::default() })
}

impl Notifier for Phone {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn target(&self) -> Target {
        Target::of(self.kind, [])
    }

    fn send_resolved(&self) -> bool {
        true
    }

    fn write(&self, notification: &Notification) -> Result<Vec<Page>, WriteError> {
        assert!(self.kind != "broken", "a bug for a test");
        let page = |alert: &Alert| {
            let kind = if alert.is_resolved(notification.now) { PageKind::Resolve } else { PageKind::Trigger };
            let name = alert.labels.get("i").to_owned();
            Page { body: Bytes::from(format!("{kind:?} {name}")), about: name.clone(), key: name, kind }
        };
        Ok(notification.alerts.iter().map(page).collect())
    }

    fn send<'a>(&'a self, page: &'a Page) -> BoxFuture<'a, Result<(), Refusal>> {
        self.sent.lock().expect("whole").push(String::from_utf8_lossy(&page.body).into_owned());
        Box::pin(async move {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }
}

impl Phone {
    fn sent(&self) -> Vec<String> {
        self.sent.lock().expect("whole").clone()
    }
}

fn start(phones: &[&Arc<Phone>], disk: &Disk) -> Dispatch {
    let of = phones.iter().map(|phone| Arc::clone(phone) as Arc<dyn Notifier>).collect();
    let receivers: Receivers = [("r".into(), of)].into();
    Dispatch::start(&paging("0s", "1s"), receivers, disk, &Telemetry::new()).expect("started")
}

fn real(folder: &Path) -> Disk {
    Disk { files: Arc::new(RealFiles), folder: folder.join("alerting") }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn fires(name: &str) -> Alert {
    let now = UnixMillis::now().0;
    alert(&[("g", name), ("i", name)], now, now + 600_000)
}

fn is_over(name: &str) -> Alert {
    let now = UnixMillis::now().0;
    alert(&[("g", name), ("i", name)], now - 60_000, now)
}

#[test]
fn an_alert_reaches_its_receiver_and_so_does_its_end_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let pager = phone("pager", false);
    let dispatch = start(&[&pager], &real(folder.path()));
    dispatch.put([fires("a"), fires("b")]);
    until("two pages", || pager.sent().len() == 2);
    assert_eq!((dispatch.alerts().len(), dispatch.groups().len()), (2, 2));
    dispatch.stop();
    let dispatch = start(&[&pager], &real(folder.path()));
    dispatch.put([fires("a"), is_over("b")]);
    until("the end of one", || pager.sent().len() == 3);
    assert_eq!(pager.sent()[2], "Resolve b");
    assert_eq!(dispatch.status().complaints, Vec::<String>::new());
}

#[test]
fn a_receiver_that_hangs_delays_no_other_and_no_rule() {
    let (slow, fast) = (phone("slow", true), phone("fast", false));
    let disk = Disk { files: Arc::new(SimulatedDisk::default()), folder: "/alerting".into() };
    let dispatch = start(&[&slow, &fast], &disk);
    for number in 0..20 {
        dispatch.put([fires(&number.to_string())]);
    }
    until("twenty pages", || fast.sent().len() == 20);
    assert_eq!(slow.sent().len(), 4, "as many as it may have under way");
    let lanes = dispatch.status().lanes;
    let waiting: Vec<_> = lanes.iter().map(|lane| (lane.lane.kind(), lane.waiting)).collect();
    assert_eq!(waiting, [("fast", 0), ("slow", 20)]);
}

#[test]
fn a_receiver_whose_pages_panic_costs_no_other_one_its_pages() {
    let (broken, fine) = (phone("broken", false), phone("fine", false));
    let disk = Disk { files: Arc::new(SimulatedDisk::default()), folder: "/alerting".into() };
    let dispatch = start(&[&broken, &fine], &disk);
    dispatch.put([fires("a")]);
    until("a page", || fine.sent() == ["Trigger a"]);
    dispatch.put([fires("b"), is_over("a")]);
    until("more pages", || fine.sent().len() == 3);
    let told = "a bug of Tailwater, please report it: a bug for a test";
    until("a word of it", || dispatch.status().complaints.iter().any(|why| why.ends_with(told)));
}

#[test]
fn a_page_is_sent_also_where_the_disk_fails_or_hangs() {
    let pager = phone("pager", false);
    let disk = SimulatedDisk::default();
    let dispatch = start(&[&pager], &Disk { files: Arc::new(disk.clone()), folder: "/alerting".into() });
    disk.fail_syncs(true);
    dispatch.put([fires("a")]);
    until("a page", || pager.sent().len() == 1);
    until("a word of it", || dispatch.status().complaints.iter().any(|told| told.contains("cannot be written")));
    disk.fail_syncs(false);
    until("the journal anew", || dispatch.status().complaints.is_empty());
    disk.stall_syncs(true);
    dispatch.put([fires("b")]);
    until("another page", || pager.sent().len() == 2);
    dispatch.put([fires("c")]);
    until("yet another page", || pager.sent().len() == 3);
    disk.stall_syncs(false);
    until("the journal anew", || dispatch.status().complaints.is_empty());
    dispatch.stop();
    let dispatch = start(&[&pager], &Disk { files: Arc::new(disk), folder: "/alerting".into() });
    dispatch.put([fires("a"), fires("b"), fires("c"), fires("d")]);
    until("what is new", || pager.sent().contains(&"Trigger d".to_owned()));
    assert_eq!(pager.sent().len(), 4, "and nothing else: {:?}", pager.sent());
}

#[test]
fn alerts_wait_where_the_journals_cannot_be_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    // A file stands where the folder should be.
    let place = folder.path().join("alerting");
    std::fs::write(&place, "").expect("written");
    let pager = phone("pager", false);
    let receivers: Receivers = [("r".into(), vec![pager.clone() as Arc<dyn Notifier>])].into();
    let door = Door::new(paging("0s", "1s"), receivers, real(folder.path()), Arc::new(Telemetry::new()));
    door.put([fires("a"), fires("b")]);
    for _ in 0..2 {
        assert!(matches!(door.open(), Err(StartError::Journal(..))));
    }
    door.put([is_over("b"), fires("c")]);
    std::fs::remove_file(&place).expect("removed");
    let dispatch = door.open().expect("it is started");
    until("what fires", || pager.sent().len() == 2);
    let mut sent = pager.sent();
    sent.sort();
    assert_eq!(sent, ["Trigger a", "Trigger c"]);
    drop(dispatch);
}

#[test]
fn a_reload_keeps_what_is_known() {
    let (one, other) = (phone("pager", false), phone("pager", false));
    let disk = Disk { files: Arc::new(SimulatedDisk::default()), folder: "/alerting".into() };
    let dispatch = start(&[&one], &disk);
    dispatch.put([fires("a")]);
    until("a page", || one.sent().len() == 1);
    let receivers: Receivers = [("r".into(), vec![other.clone() as Arc<dyn Notifier>])].into();
    dispatch.reload(&paging("0s", "1s"), receivers);
    dispatch.put([is_over("a"), fires("b")]);
    until("two pages", || other.sent().len() == 2);
    let mut sent = other.sent();
    sent.sort();
    assert_eq!((sent, one.sent().len()), (vec!["Resolve a".to_owned(), "Trigger b".to_owned()], 1));
}

#[test]
fn what_is_counted_is_exposed_as_long_as_it_runs() {
    let telemetry = Telemetry::new();
    let pager = phone("pager", false);
    let disk = Disk { files: Arc::new(SimulatedDisk::default()), folder: "/alerting".into() };
    let of = || -> Receivers { [("r".into(), vec![pager.clone() as Arc<dyn Notifier>])].into() };
    for _ in 0..2 {
        let dispatch = Dispatch::start(&paging("0s", "1s"), of(), &disk, &telemetry).expect("started");
        dispatch.put([fires("a")]);
        until("a line of it", || {
            let exposed = telemetry.expose().expect("encodes");
            let waiting = format!("integration=\"pager/{}\",receiver=\"r\"}} 0", pager.target());
            exposed.contains("tailwater_alerts_kept 1\n")
                && exposed.contains("tailwater_silences{state=\"active\"} 0")
                && exposed.contains(&format!("tailwater_pages_waiting{{{waiting}"))
        });
        drop(dispatch);
        assert!(!telemetry.expose().expect("encodes").contains("tailwater_alerts"));
    }
}

/// The answer to alerts that somebody posted, each with its end where it has one.
fn post(dispatch: &Dispatch, alerts: Vec<(Alert, Option<UnixMillis>)>) -> Result<(), PostError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(dispatch.post(alerts))
}

#[test]
fn what_is_posted_counts_as_taken_once_it_is_on_disk() {
    let pager = phone("pager", false);
    let files = SimulatedDisk::default();
    let disk = Disk { files: Arc::new(files.clone()), folder: "/alerting".into() };
    let receivers = || -> Receivers { [("r".into(), vec![pager.clone() as Arc<dyn Notifier>])].into() };
    // Nobody is told before the process is killed.
    let slow = Dispatch::start(&paging("1h", "1h"), receivers(), &disk, &Telemetry::new()).expect("started");
    let over = UnixMillis(UnixMillis::now().0 - 1);
    let posted = vec![(fires("a"), None), (fires("b"), Some(fires("b").ends_at)), (is_over("c"), Some(over))];
    assert_eq!(post(&slow, posted), Ok(()));
    files.restart(Stop::PowerCut);
    std::mem::forget(slow);
    let dispatch = start(&[&pager], &disk);
    until("what was posted", || pager.sent().len() == 2);
    let mut sent = pager.sent();
    sent.sort();
    assert_eq!(sent, ["Trigger a", "Trigger b"]);
    let told = |dispatch: &Dispatch| dispatch.alerts().iter().map(|view| view.kept.alert.ends_at).collect::<Vec<_>>();
    let before = told(&dispatch);
    dispatch.stop();
    assert_eq!(post(&dispatch, vec![(fires("d"), None)]), Err(PostError::Ended));
    let dispatch = start(&[&pager], &disk);
    assert!(told(&dispatch).iter().zip(&before).all(|(now, before)| now >= before), "it goes on as it was said");
    assert_eq!(post(&dispatch, vec![(is_over("a"), Some(UnixMillis::now()))]), Ok(()));
    until("the end of one", || pager.sent().len() == 3);
    assert_eq!(pager.sent()[2], "Resolve a");
}

#[test]
fn what_is_posted_and_on_no_disk_has_to_be_posted_again() {
    let pager = phone("pager", false);
    let files = SimulatedDisk::default();
    let disk = Disk { files: Arc::new(files.clone()), folder: "/alerting".into() };
    let dispatch = start(&[&pager], &disk);
    files.fail_syncs(true);
    for name in ["a", "b"] {
        let why = post(&dispatch, vec![(fires(name), None)]).expect_err("it is on no disk");
        assert!(matches!(&why, PostError::NotKept(why) if why.contains("cannot be written")), "{why}");
    }
    until("both pages all the same", || pager.sent().len() == 2);
    files.fail_syncs(false);
    until("the journal anew", || dispatch.status().complaints.is_empty());
    assert_eq!(post(&dispatch, vec![(fires("c"), None)]), Ok(()));
    let mut little = paging("0s", "1s");
    little.limits.alerts = 4;
    dispatch.reload(&little, [("r".into(), vec![pager.clone() as Arc<dyn Notifier>])].into());
    let more = ["d", "e", "f"].map(|name| (fires(name), None));
    assert_eq!(post(&dispatch, more.into()), Err(PostError::NoPlace(2)));
    // One of them is known, and finds no place on its way.
    let mut known = ["g", "h", "i", "j"].map(|name| (fires(name), None)).to_vec();
    known.push((is_over("a"), Some(UnixMillis::now())));
    assert_eq!(post(&dispatch, known), Err(PostError::NoPlace(5)));
}
