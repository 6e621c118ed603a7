//! Writer and reader forget alike, and neither keeps more the longer a segment is.

use std::sync::Arc;

use super::super::numbers::Input;
use super::{Decoder, Encoder, LIST, Limits, SERIES};
use crate::data::metrics::Family;
use crate::data::series_table::{FamilyId, ListBuilder, SeriesList, SeriesTable};
use crate::data::{LabelSet, MetricBatch, MetricBuilder, MetricKind};

/// Forgets after a few lists and series.
const SMALL: Limits = Limits { lists: 10 * (LIST + 8 * 8), series: 40 * (SERIES + 24) };

fn list(table: &Arc<SeriesTable>, numbers: impl IntoIterator<Item = usize>) -> Arc<SeriesList> {
    let mut builder = ListBuilder::default();
    for number in numbers {
        let labels: LabelSet = [("__name__", "n"), ("n", &*number.to_string())].into_iter().collect();
        builder.labels(&labels, FamilyId::default());
    }
    table.list_with_repeats(&builder).list
}

fn batch(list: &Arc<SeriesList>, value: f64) -> MetricBatch {
    let mut builder = MetricBuilder::new();
    builder.samples().values.resize(list.len(), value);
    builder.build(Arc::default(), list.clone())
}

fn seen(batch: &MetricBatch) -> Vec<String> {
    let table = batch.series().table().read();
    batch.iter().map(|sample| format!("{} {:?}", table.labels(sample.series), sample.value)).collect()
}

#[test]
fn what_is_forgotten_is_defined_again() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (written, read) = (SeriesTable::new(1000), SeriesTable::new(1));
        let (mut encoder, mut decoder) = (Encoder::new(SMALL), Decoder::new(read.clone(), SMALL));
        let mut lists: Vec<Arc<SeriesList>> = Vec::new();
        for step in 0..100 {
            if lists.is_empty() || random.u8(..3) == 0 {
                // Series come and go, so that their slots are used again.
                let (from, length) = (random.usize(..150), random.usize(..20));
                lists.push(list(&written, (0..length).map(|_| from + random.usize(..20))));
            }
            if lists.len() > 15 {
                lists.swap_remove(random.usize(..lists.len()));
            }
            let batch = batch(&lists[random.usize(..lists.len())], f64::from(step));
            let mut bytes = Vec::new();
            let defines = encoder.encode(&batch, &mut bytes);
            let mut input = Input::new(&bytes);
            let decoded = decoder.decode(&mut input).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert!(input.is_empty() && (defines || bytes.len() < 20 + 8 * batch.series().len()), "seed {seed}");
            assert_eq!(seen(&decoded), seen(&batch), "seed {seed}");
        }
        // Whatever was defined, no more series are held than lists and definitions that are remembered may have.
        assert!(read.read().len() < 40 + 20 + 10 * 40, "seed {seed}: {}", read.read().len());
        drop(decoder);
        assert!(read.read().is_empty(), "seed {seed}");
    }
}

#[test]
fn a_reader_holds_a_bounded_number_of_series() {
    let (written, read) = (SeriesTable::new(100_000), SeriesTable::new(1));
    let (mut encoder, mut decoder) = (Encoder::new(SMALL), Decoder::new(read.clone(), SMALL));
    for step in 0..1000 {
        let list = list(&written, step * 10..step * 10 + 10);
        let mut bytes = Vec::new();
        encoder.encode(&batch(&list, 1.0), &mut bytes);
        decoder.decode(&mut Input::new(&bytes)).expect("whole");
        assert!(read.read().len() <= 200, "{}", read.read().len());
    }
}

#[test]
fn a_list_that_is_forgotten_cannot_be_named() {
    let table = SeriesTable::new(1000);
    let first = list(&table, 0..8);
    let (mut encoder, mut decoder) = (Encoder::new(Limits::of(1)), Decoder::new(table.clone(), SMALL));
    let others = (0..20).map(|from| list(&table, from..from + 8));
    let lists: Vec<_> = [first.clone()].into_iter().chain(others).chain([first]).collect();
    let decoded = lists.iter().map(|list| {
        let mut bytes = Vec::new();
        encoder.encode(&batch(list, 1.0), &mut bytes);
        decoder.decode(&mut Input::new(&bytes)).is_ok()
    });
    let decoded: Vec<_> = decoded.collect();
    assert!(decoded[..21].iter().all(|decoded| *decoded) && !decoded[21], "{decoded:?}");
}

#[test]
fn a_segment_of_version_1_may_name_all_that_it_has_defined() {
    let written = SeriesTable::new(1000);
    let limits = Limits::of(1);
    let (mut encoder, mut decoder) = (Encoder::new(limits), Decoder::new(SeriesTable::new(1), limits));
    let first = list(&written, 0..1000);
    let mut same = ListBuilder::default();
    first.refs().iter().for_each(|series| same.known(*series));
    // More than version 2 remembers.
    let others = (0..2300).map(|_| written.list(&same).list);
    let (mut bytes, mut decoded) = (Vec::new(), None);
    for list in [first.clone()].into_iter().chain(others).chain([first.clone()]) {
        bytes.clear();
        encoder.encode(&batch(&list, 0.0), &mut bytes);
        decoded = Some(decoder.decode(&mut Input::new(&bytes)).expect("whole"));
    }
    assert!(bytes.len() < 600, "it is named: {} bytes", bytes.len());
    assert_eq!(decoded.as_ref().map(seen), Some(seen(&batch(&first, 0.0))));
}

#[test]
fn what_was_stored_does_not_set_back_what_is_known_of_a_metric() {
    let table = SeriesTable::new(10);
    let family = |help: &str| Family { name: "n".into(), kind: MetricKind::Gauge, help: help.into(), unit: "".into() };
    let labels: LabelSet = [("__name__", "n")].into_iter().collect();
    let scraped = |help: &str| {
        let mut builder = ListBuilder::default();
        builder.labels(&labels, table.family(&family(help)));
        table.list(&builder).list
    };
    let old = scraped("old");
    let mut bytes = Vec::new();
    Encoder::new(SMALL).encode(&batch(&old, 1.0), &mut bytes);
    let help = |list: &SeriesList| table.read().family(list.refs()[0]).help.to_string();
    let new = scraped("new");
    let replay = || Decoder::new(table.clone(), SMALL).decode(&mut Input::new(&bytes)).expect("whole");
    assert_eq!((help(replay().series()), help(&new)), ("new".into(), "new".into()));
    drop((old, new));
    assert_eq!(help(replay().series()), "old", "nothing newer is known");
}
