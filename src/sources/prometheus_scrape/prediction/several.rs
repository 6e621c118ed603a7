//! Series that have several samples in one exposition, each with a time of its own. As in Prometheus, those are
//! taken whose time is behind that of the series' sample before: a store takes no others.

use std::collections::{HashMap, HashSet};

use crate::data::UnixMillis;
use crate::data::series_table::{SeriesList, SeriesRef};

/// Where such series stand, and how far each has come.
#[derive(Debug, Default)]
pub(super) struct Several {
    columns: Box<[u32]>,
    last: HashMap<SeriesRef, UnixMillis>,
    /// The time of the scrape before.
    scraped: UnixMillis,
}

impl Several {
    /// Those of a list; each goes on where it stood in `before`.
    pub fn of(list: &SeriesList, before: &Self) -> Self {
        let mut seen = HashSet::new();
        let several: HashSet<_> = list.refs().iter().filter(|series| !seen.insert(**series)).copied().collect();
        let places = list.refs().iter().enumerate().filter(|(_, series)| several.contains(series));
        let columns = places.map(|(column, _)| column as u32).collect();
        let last = several.iter().filter_map(|series| Some((*series, *before.last.get(series)?))).collect();
        Self { columns, last, scraped: before.scraped }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The columns, ascending, of samples that are not behind the one before of their series. `time` says when
    /// the sample of a column was taken.
    pub fn late(&mut self, list: &SeriesList, scraped: UnixMillis, time: impl Fn(usize) -> UnixMillis) -> Vec<usize> {
        if scraped < self.scraped {
            // The clock was set back: samples without a time of their own go on from there.
            self.last.clear();
        }
        self.scraped = scraped;
        let mut late = Vec::new();
        for column in self.columns.iter().map(|column| *column as usize) {
            let (series, time) = (list.refs()[column], time(column));
            match self.last.get_mut(&series) {
                Some(last) if time <= *last => late.push(column),
                Some(last) => *last = time,
                None => {
                    self.last.insert(series, time);
                }
            }
        }
        late
    }
}
