//! Silences: what they silence, how they may change, and that what was answered survives every crash.

use std::path::PathBuf;

use super::*;
use crate::alerting::matcher;
use crate::delivery::journal::Place;
use crate::delivery::simulated_disk::{SimulatedDisk, Stop};

fn wanted(matchers: &str, starts: i64, ends: i64) -> SilenceRequest {
    SilenceRequest {
        id: String::new(),
        matchers: matcher::parse(matchers).expect("matchers"),
        starts_at: UnixMillis(starts),
        ends_at: UnixMillis(ends),
        created_by: "somebody".into(),
        comment: "works".into(),
        annotations: BTreeMap::new(),
    }
}

fn changed(id: &str, matchers: &str, starts: i64, ends: i64) -> SilenceRequest {
    SilenceRequest { id: id.to_owned(), ..wanted(matchers, starts, ends) }
}

/// Ids `1`, `2`, … in the order in which they are asked for.
struct Book(Silences, u32);

impl Book {
    fn set(&mut self, wanted: SilenceRequest, now: i64) -> Result<Arc<str>, SilenceError> {
        let next = self.1 + 1;
        let (id, _) = self.0.set(wanted, || next.to_string(), UnixMillis(now))?;
        self.1 = self.1.max(id.parse().expect("a number"));
        Ok(id)
    }

    fn silenced(&self, labels: &[(&str, &str)], now: i64) -> Vec<&str> {
        let labels = labels.iter().copied().collect();
        let silencing: Vec<_> = self.0.silencing(&labels, UnixMillis(now)).map(|silence| silence.id.clone()).collect();
        self.0.iter().filter(|known| silencing.contains(&known.id)).map(|known| &*known.id).collect()
    }

    fn span(&self, id: &str) -> (i64, i64) {
        self.0.get(id).map(|silence| (silence.starts_at.0, silence.ends_at.0)).expect("there")
    }
}

fn book() -> Book {
    Book(Silences::default(), 0)
}

#[test]
fn a_silence_silences_what_fits_from_its_beginning_to_its_end() {
    let mut book = book();
    book.set(wanted("a=~\"b|c\", d!=e", 1000, 2000), 0).expect("made");
    for (labels, now, expected) in [
        (&[("a", "b")][..], 999, 0),
        (&[("a", "b")], 1000, 1),
        (&[("a", "b")], 1999, 1),
        (&[("a", "b")], 2000, 0),
        (&[("a", "b"), ("d", "e")], 1500, 0),
        (&[("d", "x")], 1500, 0),
    ] {
        assert_eq!(book.silenced(labels, now).len(), expected, "{labels:?} {now}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut book = book();
    for (request, why) in [
        (wanted("", 0, 10), "needs a matcher"),
        (wanted("a=\"\"", 0, 10), "empty string"),
        (wanted("a=~\".*\"", 0, 10), "empty string"),
        (wanted("a=b", 10, 10), "before end"),
        (wanted("a=b", 0, 4), "in the past"),
        (SilenceRequest { comment: "x".repeat(MOST_BYTES), ..wanted("a=b", 0, 10) }, "bytes"),
    ] {
        let refused = book.set(request, 5).expect_err(why);
        assert!(refused.to_string().contains(why), "{refused}");
    }
    assert_eq!(book.set(changed("7", "a=b", 0, 10), 5), Err(SilenceError::NotFound));
    assert!(book.set(wanted("a!=b", 0, 10), 5).is_ok(), "a negation means more than nothing");
}

#[test]
fn what_was_silenced_stays_told_when_a_silence_changes() {
    let mut book = book();
    assert_eq!(&*book.set(wanted("a=b", 0, 10_000), 5).expect("made"), "1");
    assert_eq!(book.span("1"), (5, 10_000), "it cannot have begun before it was made");
    // Its end may move as long as it is in force.
    assert_eq!(&*book.set(changed("1", "a=b", 5, 20_000), 1000).expect("changed"), "1");
    assert_eq!(book.span("1"), (5, 20_000));
    // Its matchers may not: it ends, and another begins.
    assert_eq!(&*book.set(changed("1", "a=c", 5, 20_000), 2000).expect("made"), "2");
    assert_eq!((book.span("1"), book.span("2")), ((5, 2000), (2000, 20_000)));
    // Nor may its beginning.
    assert_eq!(&*book.set(changed("2", "a=c", 9000, 20_000), 3000).expect("made"), "3");
    assert_eq!((book.span("2"), book.span("3")), ((2000, 3000), (9000, 20_000)));
    // One that is to come may be moved, but not into the past.
    assert_eq!(&*book.set(changed("3", "a=c", 8000, 20_000), 4000).expect("changed"), "3");
    assert_eq!(&*book.set(changed("3", "a=c", 3000, 20_000), 4000).expect("made"), "4");
    assert_eq!((book.span("3"), book.span("4")), ((4000, 4000), (4000, 20_000)));
    // One that ended stays so.
    assert_eq!(&*book.set(changed("1", "a=b", 5, 30_000), 5000).expect("made"), "5");
    assert_eq!((book.span("1"), book.span("5")), ((5, 2000), (5000, 30_000)));
}

#[test]
fn an_expired_one_is_kept_for_a_while() {
    let mut book = book();
    book.set(wanted("a=b", 0, 10_000), 0).expect("made");
    book.set(wanted("a=b", 5000, 10_000), 0).expect("made");
    let expire = |book: &mut Book, id: &str, now| book.0.expire(id, UnixMillis(now)).map(|changed| changed.len());
    assert_eq!(expire(&mut book, "1", 100), Ok(1));
    assert_eq!(expire(&mut book, "1", 200), Ok(0));
    assert_eq!(expire(&mut book, "2", 100), Ok(1));
    assert_eq!(expire(&mut book, "3", 100), Err(SilenceError::NotFound));
    assert_eq!((book.span("1"), book.span("2")), ((0, 100), (100, 100)));
    let retention = RETENTION.as_millis() as i64;
    book.0.forget_old(UnixMillis(99 + retention));
    assert!(book.0.get("1").is_some());
    book.0.forget_old(UnixMillis(100 + retention));
    assert!(book.0.get("1").is_none());
}

#[test]
fn they_are_listed_as_alertmanager_lists_them() {
    let mut book = book();
    for (matchers, starts, ends) in
        [("a=b", 0, 20), ("a=b", 0, 900), ("a=b, c=d", 0, 800), ("a=b", 700, 900), ("a=b", 600, 900), ("a=b", 0, 40)]
    {
        book.set(wanted(matchers, starts, ends), 0).expect("made");
    }
    let ids = |filter: &str| -> String {
        let filter = matcher::parse(filter).expect("matchers");
        book.0.list(&filter, UnixMillis(50)).iter().map(|silence| silence.id.to_string()).collect()
    };
    assert_eq!(ids(""), "325461");
    assert_eq!(ids("c=d"), "3");
    assert_eq!(ids("c=~d"), "");
}

#[test]
fn the_json_is_that_of_the_api() {
    let json = r#"{ "matchers": [ { "name": "a", "value": "b|c", "isRegex": true }, { "name": "d", "value": "e", "isRegex": false,
        "isEqual": false } ], "startsAt": "2026-05-05T14:00:00+02:00", "endsAt": "2026-05-05T13:00:00.5Z",
        "createdBy": "me", "comment": "why" }"#;
    let postable: PostableSilence = serde_json::from_str(json).expect("a silence");
    let mut silences = Silences::default();
    let now = UnixMillis(1_777_982_400_000);
    let request = SilenceRequest::try_from(postable).expect("its meaning");
    silences.set(request, || "id".into(), now).expect("made");
    let shown = silences.get("id").map(|silence| silence.to_json(now)).expect("there");
    assert_eq!(
        serde_json::to_value(&shown).expect("JSON"),
        serde_json::json!({
            "id": "id", "status": { "state": "active" }, "updatedAt": "2026-05-05T12:00:00.000Z", "annotations": {},
            "comment": "why", "createdBy": "me", "startsAt": "2026-05-05T12:00:00.000Z",
            "endsAt": "2026-05-05T13:00:00.500Z",
            "matchers": [
                { "name": "a", "value": "b|c", "isRegex": true, "isEqual": true },
                { "name": "d", "value": "e", "isRegex": false, "isEqual": false },
            ]
        })
    );
}

fn place(disk: &SimulatedDisk) -> Place {
    let (files, folder) = (Arc::new(disk.clone()), PathBuf::from("/alerting"));
    Place { files, folder, name: "silences".into(), kind: KIND }
}

#[test]
fn what_was_answered_survives_every_crash() {
    for seed in 0..100u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = SimulatedDisk::default();
        let mut expected: BTreeMap<Arc<str>, Arc<Silence>> = BTreeMap::new();
        for life in 0..4i64 {
            let start = UnixMillis(1_000_000 * life);
            disk.stop_after(random.u64(3..60), fastrand::Rng::with_seed(random.u64(..)));
            if let Ok((book, complaints)) = SilenceBook::open(&place(&disk), start) {
                let found = book.read().0.clone();
                for (id, silence) in &expected {
                    assert_eq!(found.get(id), Some(silence), "seed {seed}, life {life}");
                }
                // A change whose answer was lost may have been made.
                assert!(found.len() <= expected.len() + 1 && complaints.len() < 2, "seed {seed}, life {life}");
                expected.extend(found);
                for step in 0..30 {
                    let now = UnixMillis(start.0 + step);
                    let ids: Vec<Arc<str>> = expected.keys().cloned().collect();
                    let before = book.read().0.clone();
                    let answered = match random.usize(..4) {
                        0 if !ids.is_empty() => book.expire(&ids[random.usize(..ids.len())], now).is_ok(),
                        _ => book.set(wanted("a=b", now.0, now.0 + 500_000), now).is_ok(),
                    };
                    if !answered {
                        assert_eq!(book.read().0, before, "what is not durable is not in force");
                        break;
                    }
                    expected = book.read().0.clone();
                }
            }
            disk.restart(if random.bool() { Stop::Kill } else { Stop::PowerCut });
            // An expiry whose answer was lost may have been made as well.
            if let Ok((book, _)) = SilenceBook::open(&place(&disk), start) {
                expected.extend(book.read().0.clone());
            }
        }
    }
}

#[test]
fn ids_are_random_uuids() {
    let disk = SimulatedDisk::default();
    let (book, _) = SilenceBook::open(&place(&disk), UnixMillis(0)).expect("opened");
    let id = book.set(wanted("a=b", 0, 10), UnixMillis(0)).expect("made");
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    assert!(id.as_bytes()[14] == b'4' && matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
}

#[test]
fn what_many_alerts_are_judged_by_leaves_out_what_ended_long_ago() {
    let mut book = Book(Silences::default(), 0);
    for (starts, ends) in [(0, 1_000), (0, 100_000), (0, 200_000), (150_000, 200_000)] {
        book.set(wanted("a=b", starts, ends), 0).expect("made");
    }
    let ids = |now| book.0.but_for_old(UnixMillis(now)).iter().map(|known| known.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(0), ["1", "2", "3", "4"]);
    assert_eq!(ids(100_001), ["2", "3", "4"], "one that ended just now, and one to come");
}

#[test]
fn patterns_hold_no_more_memory_than_silences_may() {
    let heavy = |first: usize| format!(r#"a=~"x{first}(\\pL{{5}}x){{3}}""#);
    let mut book = book();
    let mut made = 0;
    let refused = loop {
        match book.set(wanted(&heavy(made), 0, 1000), 0) {
            Ok(_) => made += 1,
            Err(error) => break error.to_string(),
        }
    };
    assert!(refused.contains("hold 256 MiB") && (10..1000).contains(&made), "{made}: {refused}");
    assert!(book.0.iter().map(|known| known.held_bytes()).sum::<usize>() <= MOST_HELD_BY_ALL);
    // Those that ended make way, the first to end first.
    book.0.expire("1", UnixMillis(1)).expect("there");
    book.0.expire("2", UnixMillis(2)).expect("there");
    book.set(wanted(&heavy(made), 0, 1000), 3).expect("place");
    assert!(book.0.get("1").is_none() && book.0.get("2").is_some());
    let one = vec![heavy(0); 20].join(",");
    let why = book.set(wanted(&one, 0, 1000), 3).map_err(|error| error.to_string());
    assert!(why.is_err_and(|why| why.contains("take too much memory")));
}

#[test]
fn silences_that_ended_take_no_place_from_others() {
    let mut book = book();
    for number in 0..MOST {
        let id = number.to_string();
        let silence =
            wanted("a=b", 0, if number < 2 { 10 + number as i64 } else { 1000 }).into_silence(id.into(), UnixMillis(0));
        book.0.keep(&vec![silence]);
    }
    book.1 = MOST as u32;
    assert!(book.set(wanted("a=c", 0, 1000), 5).is_err_and(|why| why.to_string().contains("not ended")));
    let id = book.set(wanted("a=c", 0, 1000), 20).expect("place");
    assert!(book.0.get("0").is_none() && book.0.get("1").is_some() && book.0.get(&id).is_some());
    assert_eq!(book.0.iter().count(), MOST);
}
