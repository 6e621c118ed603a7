//! What is kept of pages, in a journal of the kind `ALRTPAGE`. Records, behind [version and kind](crate::alerting::record):
//!
//! ```text
//! 17  page     receiver, integration, id and batch (numbers), key, kind (0 trigger, 1 acknowledge, 2 resolve), 1 where it
//!              lasts else 0, origin, written at (time), body; then the ids of pages that it takes the place of: their
//!              number, each a number; then the names of alerts, which records of before do not have
//! 18  begun    id, at: the first attempt is made
//! 19  done     id, how: 0 delivered, 1 refused for good, 2 given up
//! 20  dropped  ids: their number, each a number
//! 21  open     receiver, integration, key: of this key something may be open there
//! ```
//!
//! A page is there from its record on until it is done, dropped, or another one takes its place. The journal also has the
//! records of [what was told](crate::alerting::dispatch), behind those of the pages that say it.

use bytes::Bytes;

use super::lane::{Lane, Written};
use super::{LaneName, Outbox};
use crate::alerting::notifier::{Page, PageKind};
use crate::alerting::record::{Reader, Writer};
use crate::data::UnixMillis;

const PAGE: u8 = 17;
const BEGUN: u8 = 18;
const DONE: u8 = 19;
const DROPPED: u8 = 20;
const OPEN: u8 = 21;

/// How a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Delivered,
    Refused,
    GivenUp,
}

pub(super) fn page(lane: &LaneName, written: &Written, instead_of: &[u64]) -> Vec<u8> {
    let kind = match written.page.kind {
        PageKind::Trigger => 0,
        PageKind::Acknowledge => 1,
        PageKind::Resolve => 2,
    };
    let writer = Writer::new(PAGE).text(&lane.receiver).text(&lane.integration);
    let writer = writer.number(written.id).number(written.batch).text(&written.page.key).number(kind);
    let writer = writer.number(u64::from(written.is_lasting)).text(&written.origin).time(written.written_at);
    ids(writer.bytes(&written.page.body), instead_of).text(&written.page.about).finish()
}

pub(super) fn begun(id: u64, at: UnixMillis) -> Vec<u8> {
    Writer::new(BEGUN).number(id).time(at).finish()
}

pub(super) fn done(id: u64, end: End) -> Vec<u8> {
    let how = match end {
        End::Delivered => 0,
        End::Refused => 1,
        End::GivenUp => 2,
    };
    Writer::new(DONE).number(id).number(how).finish()
}

pub(super) fn dropped(of: &[u64]) -> Vec<u8> {
    ids(Writer::new(DROPPED), of).finish()
}

pub(super) fn open(lane: &LaneName, key: &str) -> Vec<u8> {
    Writer::new(OPEN).text(&lane.receiver).text(&lane.integration).text(key).finish()
}

fn ids(writer: Writer, ids: &[u64]) -> Writer {
    ids.iter().fold(writer.number(ids.len() as u64), |writer, id| writer.number(*id))
}

/// Takes over a record; `None` where it is none of these.
pub(super) fn replay(outbox: &mut Outbox, record: &[u8]) -> Option<()> {
    let (kind, mut reader) = Reader::new(record)?;
    match kind {
        PAGE => {
            let lane = read_lane(&mut reader)?;
            let (id, batch) = (reader.number()?, reader.number()?);
            let key = reader.text()?.to_owned();
            let kind = match reader.number()? {
                0 => PageKind::Trigger,
                1 => PageKind::Acknowledge,
                2 => PageKind::Resolve,
                _ => return None,
            };
            let is_lasting = reader.number()? != 0;
            let (origin, written_at) = (reader.text()?.into(), reader.time()?);
            let body = Bytes::copy_from_slice(reader.bytes()?);
            let instead_of = read_ids(&mut reader)?;
            let about = reader.text().unwrap_or_default().to_owned();
            let page = Page { key, kind, about, body };
            outbox.last_id = outbox.last_id.max(id);
            outbox.with_lane(&lane, |lane, around| {
                instead_of.iter().for_each(|id| lane.remove(*id, around));
                lane.restore(Written { id, batch, origin, is_lasting, page, written_at }, around);
            });
        }
        BEGUN => {
            let (id, at) = (reader.number()?, reader.time()?);
            outbox.for_each_lane(|lane, _| lane.replay_begun(id, at));
        }
        DONE => {
            let (id, 0..=2) = (reader.number()?, reader.number()?) else { return None };
            outbox.for_each_lane(|lane, around| lane.replay_done(id, around));
        }
        DROPPED => {
            let of = read_ids(&mut reader)?;
            outbox.for_each_lane(|lane, around| of.iter().for_each(|id| lane.remove(*id, around)));
        }
        OPEN => {
            let lane = read_lane(&mut reader)?;
            let key = reader.text()?.into();
            outbox.with_lane(&lane, |lane: &mut Lane, _| lane.replay_open(key));
        }
        _ => return None,
    }
    Some(())
}

fn read_lane(reader: &mut Reader<'_>) -> Option<LaneName> {
    Some(LaneName { receiver: reader.text()?.into(), integration: reader.text()?.into() })
}

fn read_ids(reader: &mut Reader<'_>) -> Option<Vec<u64>> {
    (0..reader.number()?).map(|_| reader.number()).collect()
}
