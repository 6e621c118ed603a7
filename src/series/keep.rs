//! The task that looks after a store: it lets go what is old, and has what came written to disk.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::disk::Keeper;
use super::store::Store;
use crate::data::UnixMillis;

/// What came so long before a kill may not be on disk yet.
const WRITE_EVERY: Duration = Duration::from_millis(100);

/// Time between two looks for what is old.
const MAINTAIN_EVERY: Duration = Duration::from_secs(5);

/// Looks after a store until `shutdown`; then writes everything down. `clock` tells the time. Dropped before, it leaves on
/// disk what it has written so far.
pub async fn keep(
    store: Arc<Store>,
    keeper: Option<Keeper>,
    clock: impl Fn() -> UnixMillis,
    shutdown: CancellationToken,
) {
    let mut keeper = keeper;
    let mut ticks = interval(WRITE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut maintained = Instant::now();
    let mut is_failing = false;
    store.find_journal();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        if maintained.elapsed() >= MAINTAIN_EVERY {
            maintained = Instant::now();
            store.maintain(clock());
        }
        let now = clock();
        if let Some(mut busy) = keeper.take_if(|keeper| keeper.is_pending(now)) {
            let done = tokio::task::spawn_blocking(move || {
                let written = busy.commit(now);
                (busy, written)
            });
            match done.await {
                Ok((back, written)) => {
                    // Where the journal goes on and the snapshot still fails, that is not over.
                    if written.is_err() || !back.is_behind() {
                        is_failing = tell(written, is_failing);
                    }
                    store.set_behind(is_failing);
                    keeper = Some(back);
                }
                Err(error) => store.lose_journal(&error),
            }
        }
    }
    if let Some(keeper) = keeper {
        let now = clock();
        match tokio::task::spawn_blocking(move || keeper.finish(now)).await {
            Ok(written) => drop(tell(written, false)),
            Err(error) => store.lose_journal(&error),
        }
    }
}

/// Says when writing begins to fail, and when it is over. Returns whether it fails.
fn tell(written: io::Result<()>, was_failing: bool) -> bool {
    match written {
        Err(error) if !was_failing => {
            tracing::error!(
                %error,
                "samples for rules and queries cannot be written to disk; they are kept in memory, and a restart would lose \
                 what is not written"
            );
            true
        }
        Err(_) => true,
        Ok(()) if was_failing => {
            tracing::info!("samples for rules and queries are written to disk again");
            false
        }
        Ok(()) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::store::tests::{batch, everything, list};
    use super::super::{Place, StoreOptions};
    use super::*;
    use crate::data::series_table::SeriesTable;
    use crate::delivery::files::{Appended, Files, Readable};
    use crate::delivery::simulated_disk::{SimulatedDisk, Stop};

    #[tokio::test(start_paused = true)]
    async fn what_comes_is_on_disk_soon_and_everything_at_the_end() {
        let disk = SimulatedDisk::default();
        let place = || Place { files: Arc::new(disk.clone()), folder: PathBuf::from("/series") };
        let store = || {
            let store = Store::new(&StoreOptions::default(), SeriesTable::new(100)).expect("a store");
            store.set_selection(&[Vec::new()], Duration::from_secs(3600));
            Arc::new(store)
        };
        let table = SeriesTable::new(100);
        let list = list(&table, 0..3);
        let clock = || UnixMillis(5000);
        let first = store();
        let (keeper, _) = Keeper::open(first.clone(), place(), clock()).expect("opened");
        let kept = tokio::spawn(keep(first.clone(), Some(keeper), clock, CancellationToken::new()));
        first.append(&batch(&list, 1000, [1.0, 2.0, 3.0]), clock());
        // The blocking thread takes real time.
        while disk.bytes() < 100 {
            tokio::time::sleep(WRITE_EVERY).await;
        }
        kept.abort();
        disk.restart(Stop::Kill);
        let (second, shutdown) = (store(), CancellationToken::new());
        let (keeper, restored) = Keeper::open(second.clone(), place(), clock()).expect("opened");
        assert_eq!(restored.samples, 3);
        second.append(&batch(&list, 2000, [4.0, 5.0, 6.0]), clock());
        shutdown.cancel();
        keep(second.clone(), Some(keeper), clock, shutdown).await;
        let third = store();
        Keeper::open(third.clone(), place(), clock()).expect("opened");
        assert_eq!(everything(&third), everything(&second));
        assert!(everything(&third).values().all(|samples| samples.len() == 2));
    }

    /// A disk whose files panic with the first frame.
    #[derive(Clone, Copy, Debug)]
    struct Panics;

    impl Files for Panics {
        fn make_folder(&self, _: &Path) -> io::Result<()> {
            Ok(())
        }
        fn list(&self, _: &Path) -> io::Result<Vec<(String, u64)>> {
            Ok(Vec::new())
        }
        fn create(&self, _: &Path) -> io::Result<Box<dyn Appended>> {
            Ok(Box::new(*self))
        }
        fn open(&self, _: &Path) -> io::Result<Box<dyn Readable>> {
            unreachable!()
        }
        fn replace(&self, _: &Path, _: &[u8], _: bool) -> io::Result<()> {
            unreachable!()
        }
        fn overwrite(&self, _: &Path, _: &[u8]) -> io::Result<()> {
            unreachable!()
        }
        fn truncate(&self, _: &Path, _: u64) -> io::Result<()> {
            unreachable!()
        }
        fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
            unreachable!()
        }
        fn remove(&self, _: &Path) -> io::Result<()> {
            unreachable!()
        }
        fn is_crowded(&self, _: &Path, _: u8) -> io::Result<bool> {
            Ok(false)
        }
        fn exists(&self, _: &Path) -> bool {
            false
        }
    }

    impl Appended for Panics {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            assert!(bytes.len() <= super::super::disk::HEADER, "a bug");
            Ok(())
        }
        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn truncate(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_keeper_that_panics_is_told_and_samples_go_on() {
        let table = SeriesTable::new(100);
        let store = Arc::new(Store::new(&StoreOptions::default(), table.clone()).expect("a store"));
        store.set_selection(&[Vec::new()], Duration::from_secs(3600));
        let clock = || UnixMillis(5000);
        let place = Place { files: Arc::new(Panics), folder: PathBuf::from("/series") };
        let (keeper, _) = Keeper::open(store.clone(), place, clock()).expect("opened");
        let list = list(&table, 0..3);
        let shutdown = CancellationToken::new();
        let kept = tokio::spawn(keep(store.clone(), Some(keeper), clock, shutdown.clone()));
        tokio::time::sleep(WRITE_EVERY).await;
        assert_eq!(store.trouble(), None);
        store.append(&batch(&list, 1000, [1.0, 2.0, 3.0]), clock());
        while store.trouble().is_none() {
            tokio::time::sleep(WRITE_EVERY).await;
        }
        assert_eq!(store.counters().journal_errors.get(), 1);
        store.append(&batch(&list, 2000, [1.0, 2.0, 3.0]), clock());
        assert!(store.read().ahead.is_none() && everything(&store).len() == 3);
        shutdown.cancel();
        kept.await.expect("it ended");
    }
}
