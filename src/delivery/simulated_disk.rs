//! A disk in memory that can be full, failing or gone, and that can be stopped between any two operations, and
//! within one, as a kill or a power cut would.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::{Appended, Files, Readable};

/// The disk; a clone is the same one.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, File>,
    /// What a power cut may bring back.
    removed: Vec<(PathBuf, File)>,
    /// Operations that change something, so far.
    changes: u64,
    /// The process is stopped at this one.
    stop_at: Option<u64>,
    stopped: bool,
    /// Every change fails with this.
    fails: Option<ErrorKind>,
    sync_fails: bool,
    /// Forcing waits as long as this is so.
    sync_stalls: bool,
    /// Most bytes of all files.
    room: Option<usize>,
    crowded: bool,
    random: Option<fastrand::Rng>,
}

#[derive(Clone, Debug, Default)]
struct File {
    data: Vec<u8>,
    /// As much of it as a power cut leaves.
    durable: usize,
    /// What a replacement that was not forced replaced.
    before: Option<Vec<u8>>,
}

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The system goes on: what was written is there.
    Kill,
    /// What was not forced may be there, in part, or not.
    PowerCut,
}

impl SimulatedDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the process at its so-manieth change from now.
    pub fn stop_after(&self, changes: u64, random: fastrand::Rng) {
        let mut state = self.state();
        state.stop_at = Some(state.changes + changes);
        state.random = Some(random);
    }

    pub fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// Lets another process begin with what the stopped one left.
    pub fn restart(&self, how: Stop) {
        let mut state = self.state();
        let mut random = state.random.take().unwrap_or_default();
        (state.stop_at, state.stopped) = (None, false);
        let removed = std::mem::take(&mut state.removed);
        if how == Stop::Kill {
            return;
        }
        for (path, file) in removed {
            if random.bool() && !state.files.contains_key(&path) {
                state.files.insert(path, file);
            }
        }
        for file in state.files.values_mut() {
            if let Some(before) = file.before.take()
                && random.bool()
            {
                *file = File { durable: before.len(), data: before, before: None };
            }
            let kept = random.usize(file.durable.min(file.data.len())..=file.data.len());
            file.data.truncate(kept);
            // A block that was never written reads as zeros, or as what it held before.
            if random.u8(..4) == 0 && kept > file.durable {
                let at = random.usize(file.durable..kept);
                file.data[at] ^= random.u8(..);
            }
            file.durable = file.data.len();
        }
    }

    pub fn fail(&self, kind: Option<ErrorKind>) {
        self.state().fails = kind;
    }

    pub fn fail_syncs(&self, fails: bool) {
        self.state().sync_fails = fails;
    }

    pub fn stall_syncs(&self, stalls: bool) {
        self.state().sync_stalls = stalls;
    }

    /// Bytes of segments that a power cut may take.
    pub fn unforced_segments(&self) -> usize {
        let state = self.state();
        let segments = state.files.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "segment"));
        segments.map(|(_, file)| file.data.len() - file.durable.min(file.data.len())).sum()
    }

    pub fn set_room(&self, bytes: Option<usize>) {
        self.state().room = bytes;
    }

    pub fn set_crowded(&self, crowded: bool) {
        self.state().crowded = crowded;
    }

    /// Removes everything behind the queue's back.
    pub fn vanish(&self) {
        self.state().files.clear();
    }

    pub fn put(&self, path: PathBuf, data: Vec<u8>) {
        let file = File { durable: data.len(), data, before: None };
        self.state().files.insert(path, file);
    }

    pub fn get(&self, path: &Path) -> Vec<u8> {
        self.state().files[path].data.clone()
    }

    pub fn names(&self) -> Vec<String> {
        let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
        self.state().files.keys().map(name).collect()
    }

    pub fn bytes(&self) -> usize {
        self.state().files.values().map(|file| file.data.len()).sum()
    }

    /// Begins a change; tells whether it is the one that is cut short.
    fn change(&self) -> io::Result<(MutexGuard<'_, State>, bool)> {
        let mut state = self.state();
        if state.stopped {
            return Err(io::Error::other("the process is gone"));
        }
        if let Some(kind) = state.fails {
            return Err(kind.into());
        }
        state.changes += 1;
        state.stopped = state.stop_at.is_some_and(|at| state.changes >= at);
        let cut = state.stopped;
        Ok((state, cut))
    }
}

/// Whether the change that is cut short was made all the same.
fn coin(state: &mut State) -> bool {
    state.random.as_mut().is_some_and(fastrand::Rng::bool)
}

const GONE: &str = "the process is gone";

impl Files for SimulatedDisk {
    fn make_folder(&self, _: &Path) -> io::Result<()> {
        self.change().map(drop)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>> {
        let state = self.state();
        let inside = state.files.iter().filter(|(path, _)| path.parent() == Some(folder));
        let listed = inside.map(|(path, file)| {
            (path.file_name().expect("a name").to_string_lossy().into_owned(), file.data.len() as u64)
        });
        Ok(listed.collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Appended>> {
        let (mut state, cut) = self.change()?;
        if state.files.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if !cut || coin(&mut state) {
            state.files.insert(path.to_owned(), File::default());
        }
        if cut {
            Err(io::Error::other(GONE))
        } else {
            Ok(Box::new(Handle { disk: self.clone(), path: path.to_owned() }))
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Readable>> {
        if !self.exists(path) {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(Box::new(Handle { disk: self.clone(), path: path.to_owned() }))
    }

    fn replace(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        let (mut state, cut) = self.change()?;
        if !cut || coin(&mut state) {
            let before = state.files.get(path).filter(|_| !durable).map(|file| file.data.clone());
            let file = File { data: bytes.to_vec(), durable: if durable { bytes.len() } else { 0 }, before };
            state.files.insert(path.to_owned(), file);
        }
        if cut { Err(io::Error::other(GONE)) } else { Ok(()) }
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if !self.exists(path) {
            return Err(ErrorKind::NotFound.into());
        }
        self.replace(path, bytes, false)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let (mut state, _) = self.change()?;
        let file = state.files.get_mut(path).ok_or(ErrorKind::NotFound)?;
        file.data.truncate(length as usize);
        file.durable = file.durable.min(file.data.len());
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut state, _) = self.change()?;
        let file = state.files.remove(from).ok_or(ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (mut state, cut) = self.change()?;
        if cut && !coin(&mut state) {
            return Err(io::Error::other(GONE));
        }
        let file = state.files.remove(path).ok_or(ErrorKind::NotFound)?;
        state.removed.push((path.to_owned(), file));
        Ok(())
    }

    fn is_crowded(&self, _: &Path, _: u8) -> io::Result<bool> {
        Ok(self.state().crowded)
    }

    fn exists(&self, path: &Path) -> bool {
        self.state().files.contains_key(path)
    }
}

#[derive(Debug)]
struct Handle {
    disk: SimulatedDisk,
    path: PathBuf,
}

impl Appended for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut state, cut) = self.disk.change()?;
        let left = state
            .room
            .map_or(usize::MAX, |room| room.saturating_sub(state.files.values().map(|file| file.data.len()).sum()));
        let torn = state.random.as_mut().filter(|_| cut).map(|random| random.usize(..=bytes.len()));
        let written = torn.unwrap_or(bytes.len()).min(left);
        // A file that was removed takes what is written and keeps it from everybody.
        if let Some(file) = state.files.get_mut(&self.path) {
            file.data.extend_from_slice(&bytes[..written]);
        }
        match (cut, written == bytes.len()) {
            (true, _) => Err(io::Error::other(GONE)),
            (false, true) => Ok(()),
            (false, false) => Err(ErrorKind::StorageFull.into()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        while self.disk.state().sync_stalls {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let (mut state, cut) = self.disk.change()?;
        if state.sync_fails {
            return Err(io::Error::other("the disk does not answer"));
        }
        if cut && !coin(&mut state) {
            return Err(io::Error::other(GONE));
        }
        if let Some(file) = state.files.get_mut(&self.path) {
            file.durable = file.data.len();
        }
        if cut { Err(io::Error::other(GONE)) } else { Ok(()) }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        Files::truncate(&self.disk, &self.path, length)
    }
}

impl Readable for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let data = &state.files.get(&self.path).ok_or(ErrorKind::NotFound)?.data;
        let rest = data.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
}
