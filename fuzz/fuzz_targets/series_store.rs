//! Files of the store of samples that may be anything: as they are, and as the payload of a frame whose checksum fits.
#![no_main]

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tailwater::data::{SeriesTable, UnixMillis};
use tailwater::delivery::files::{Appended, Files, Readable};
use tailwater::series::disk::{FileKind, begin_frame, end_frame, header};
use tailwater::series::{Keeper, Place, Samples, Select, Store, StoreOptions};

/// A disk with one file; what is written to it goes nowhere.
#[derive(Debug)]
struct OneFile {
    name: String,
    bytes: Arc<[u8]>,
}

#[derive(Debug)]
struct Bytes(Arc<[u8]>);

impl Readable for Bytes {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
}

#[derive(Debug)]
struct Nowhere;

impl Appended for Nowhere {
    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
}

impl Files for OneFile {
    fn make_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<(String, u64)>> {
        Ok(vec![(self.name.clone(), self.bytes.len() as u64)])
    }

    fn create(&self, _: &Path) -> io::Result<Box<dyn Appended>> {
        Ok(Box::new(Nowhere))
    }

    fn open(&self, _: &Path) -> io::Result<Box<dyn Readable>> {
        Ok(Box::new(Bytes(self.bytes.clone())))
    }

    fn replace(&self, _: &Path, _: &[u8], _: bool) -> io::Result<()> {
        Ok(())
    }

    fn overwrite(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, _: &Path, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn is_crowded(&self, _: &Path, _: u8) -> io::Result<bool> {
        Ok(false)
    }

    fn exists(&self, _: &Path) -> bool {
        true
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    let kind = if mode & 1 == 0 { FileKind::Snapshot } else { FileKind::Journal };
    let mut bytes = Vec::new();
    if mode & 2 == 0 {
        bytes.extend_from_slice(rest);
    } else {
        bytes.extend_from_slice(&header(kind, 1, 0));
        for payload in rest.split(|byte| *byte == 0xFE) {
            let frame = begin_frame(&mut bytes);
            bytes.extend_from_slice(payload);
            end_frame(&mut bytes, frame);
        }
    }
    let store = Arc::new(Store::new(&StoreOptions::default(), SeriesTable::new(1000)).expect("a store"));
    store.set_selection(&[Vec::new()], Duration::from_secs(3600));
    let name = format!("{:020}.{}", 1, kind.extension());
    let place = Place { files: Arc::new(OneFile { name, bytes: bytes.into() }), folder: "/series".into() };
    let now = UnixMillis(1_000_000);
    let (keeper, restored) = Keeper::open(store.clone(), place, now).expect("a disk that works");
    let mut samples = 0;
    let what = Select { matchers: &[], after: i64::MIN, until: i64::MAX };
    store
        .select(what, &mut |_, columns| {
            assert_eq!(columns.times.len(), columns.values.len());
            samples += columns.times.len() as u64;
            Ok(())
        })
        .expect("the store has its samples");
    assert!(samples <= restored.samples);
    keeper.finish(now).expect("a disk that works");
});
