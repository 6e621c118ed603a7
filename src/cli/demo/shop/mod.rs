//! A small shop that writes container logs as a node would have them: seven kinds of containers, rotations
//! (one in the middle of a split line), and a pod that lives one second. Everything follows from a seed and
//! the times that it is told, so that tests need no clock.

pub mod kubelet;
pub mod request;
pub mod till;
pub mod voice;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::kubelet::{Container, ContainerLog};
use self::request::Request;
use self::till::Till;
use self::voice::{LAST_OF_MIGRATION, Utterance, Voice};
use crate::cli::demo::ledger::{Ledger, Written};
use crate::data::UnixNanos;

/// Containers that live as long as the shop, and of a hundred lines how many each says.
const STAFF: [(Voice, u32); 6] = [
    (Voice::Checkout, 15),
    (Voice::Web, 40),
    (Voice::Cart, 20),
    (Voice::Search, 10),
    (Voice::Ingress, 10),
    (Voice::Proxy, 5),
];

/// From the opening to the first rotation, and from each to the next. One container after the other is
/// rotated, so that no two rotations of one have the same second in their names.
const ROTATE_AFTER: Duration = Duration::from_secs(1);
const ROTATE_EVERY: Duration = Duration::from_secs(2);

/// From one migration to the next; each lives one second, and its folder goes some time later.
const MIGRATE_EVERY: Duration = Duration::from_secs(5);
const MIGRATION_LIVES: Duration = Duration::from_secs(1);
const MIGRATION_GOES: Duration = Duration::from_secs(5);

/// A shop that was stopped for long does not write all it missed at once.
const CATCH_UP: Duration = Duration::from_secs(1);

/// What the shop did beside writing records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    /// Files rotated aside.
    pub rotations: u64,
    /// Records that stand in several lines of a log.
    pub split: u64,
    /// Pods that lived one second.
    pub short_lived: u64,
}

/// The logs could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the shop cannot write its logs under {}: {error}", root.display())]
pub struct ShopError {
    root: PathBuf,
    error: io::Error,
}

/// Where the shop's spans go: each request with the container that served it and the time at which it ended.
pub type Tracer = Box<dyn FnMut(&Container, &Request, UnixNanos) + Send>;

/// What the shop tells beside its logs.
pub struct Books {
    /// The records that it wrote.
    pub ledger: Arc<Ledger>,
    /// What its applications count.
    pub till: Arc<Till>,
    /// Its spans.
    pub tracer: Tracer,
}

/// The shop.
pub struct Shop {
    root: PathBuf,
    rate: f64,
    rng: fastrand::Rng,
    runtime: Runtime,
    staff: Vec<Member>,
    /// The migration that runs, and since when.
    migration: Option<(UnixNanos, Member)>,
    /// Logs of ended migrations, and when they go.
    leaving: VecDeque<(UnixNanos, ContainerLog)>,
    rotations: u64,
    short_lived: u64,
    /// Lines that are due, in parts of one.
    due: f64,
    now: UnixNanos,
    next_rotation: UnixNanos,
    next_migration: UnixNanos,
}

impl Shop {
    /// Opens the shop at `now`: its pods exist and have not said anything. It writes `rate` lines a second
    /// under `root`, which stands for `/` of the node, and notes in `books` what they tell.
    pub fn open(root: &Path, rate: f64, seed: u64, books: Books, now: UnixNanos) -> Result<Self, ShopError> {
        let mut shop = Self {
            root: root.to_owned(),
            rate,
            rng: fastrand::Rng::with_seed(seed),
            runtime: Runtime { books, last: now, split: 0 },
            staff: Vec::new(),
            migration: None,
            leaving: VecDeque::new(),
            rotations: 0,
            short_lived: 0,
            due: 0.0,
            now,
            next_rotation: plus(now, ROTATE_AFTER),
            next_migration: now,
        };
        for (voice, _) in STAFF {
            let member = shop.hire(voice).map_err(|error| shop.failed(error))?;
            shop.staff.push(member);
        }
        Ok(shop)
    }

    /// Does everything that falls due until `now`.
    pub fn advance(&mut self, now: UnixNanos) -> Result<(), ShopError> {
        self.work(now).map_err(|error| self.failed(error))
    }

    /// What it did beside writing records.
    pub fn deeds(&self) -> Deeds {
        Deeds { rotations: self.rotations, split: self.runtime.split, short_lived: self.short_lived }
    }

    fn work(&mut self, now: UnixNanos) -> io::Result<()> {
        let elapsed = now.since(self.now).min(CATCH_UP);
        self.now = self.now.max(now);
        self.due += elapsed.as_secs_f64() * self.rate;
        while self.due >= 1.0 {
            let chosen = self.choose();
            self.due -= self.staff[chosen].speak(self.now, &mut self.rng, &mut self.runtime)? as f64;
        }
        if self.now >= self.next_rotation {
            self.next_rotation = plus(self.now, ROTATE_EVERY);
            self.rotate()?;
        }
        self.migrate()
    }

    fn choose(&mut self) -> usize {
        let mut ticket = self.rng.u32(0..STAFF.iter().map(|(_, share)| share).sum());
        let takes = |(_, share): &(Voice, u32)| match ticket.checked_sub(*share) {
            Some(rest) => {
                ticket = rest;
                false
            }
            None => true,
        };
        STAFF.iter().position(takes).unwrap_or(0)
    }

    fn rotate(&mut self) -> io::Result<()> {
        let chosen = usize::try_from(self.rotations).unwrap_or(0) % STAFF.len();
        self.rotations += 1;
        let member = &mut self.staff[chosen];
        if member.voice != Voice::Checkout {
            return member.log.rotate(self.now);
        }
        let line = Voice::speak_long(member.said, &mut self.rng);
        member.said += 1;
        self.runtime.write((&member.container, &mut member.log), self.now, &line, Rotate::Amid)
    }

    /// Lets a migration begin, speak, end and be deleted, each when it is time.
    fn migrate(&mut self) -> io::Result<()> {
        if self.now >= self.next_migration {
            self.next_migration = plus(self.now, MIGRATE_EVERY);
            self.short_lived += 1;
            self.migration = Some((self.now, self.hire(Voice::Migration)?));
        }
        if let Some((born, mut member)) = self.migration.take() {
            let age = self.now.since(born).as_secs_f64() / MIGRATION_LIVES.as_secs_f64();
            let due = 1 + (age.min(1.0) * LAST_OF_MIGRATION as f64) as u64;
            while member.said < due {
                member.speak(self.now, &mut self.rng, &mut self.runtime)?;
            }
            if member.said <= LAST_OF_MIGRATION {
                self.migration = Some((born, member));
            } else {
                self.leaving.push_back((plus(self.now, MIGRATION_GOES), member.log));
            }
        }
        while let Some((_, log)) = self.leaving.pop_front_if(|(at, _)| *at <= self.now) {
            log.remove()?;
        }
        Ok(())
    }

    /// Starts a container with an identity of its own.
    fn hire(&mut self, voice: Voice) -> io::Result<Member> {
        let (namespace, workload, name) = voice.names();
        let mut digits = |count: usize| -> String { (0..count).map(|_| self.rng.digit(16)).collect() };
        let pod = format!("{workload}-{}", digits(5));
        let uid = [8, 4, 4, 4, 12].map(&mut digits).join("-");
        let container = Container { namespace, pod, uid, name, id: digits(64) };
        Ok(Member { voice, log: ContainerLog::create(&self.root, &container)?, container, said: 0 })
    }

    fn failed(&self, error: io::Error) -> ShopError {
        ShopError { root: self.root.clone(), error }
    }
}

/// A container at work.
struct Member {
    voice: Voice,
    container: Container,
    log: ContainerLog,
    said: u64,
}

impl Member {
    /// Says what comes next; returns how many lines that is.
    fn speak(&mut self, now: UnixNanos, rng: &mut fastrand::Rng, runtime: &mut Runtime) -> io::Result<usize> {
        let lines = self.voice.speak(now, self.said, rng);
        self.said += 1;
        for line in &lines {
            runtime.write((&self.container, &mut self.log), now, line, Rotate::No)?;
        }
        Ok(lines.len())
    }
}

/// The node's container runtime: stamps lines and writes them to their logs.
struct Runtime {
    books: Books,
    last: UnixNanos,
    split: u64,
}

/// Whether a log is rotated behind the first part of a split line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rotate {
    No,
    Amid,
}

impl Runtime {
    /// Stamps a line with a nanosecond that no other has, notes it and writes it, and traces the request that it is about.
    fn write(
        &mut self,
        (container, log): (&Container, &mut ContainerLog),
        now: UnixNanos,
        line: &Utterance,
        rotate: Rotate,
    ) -> io::Result<()> {
        self.last = UnixNanos(now.0.max(self.last.0 + 1));
        let Utterance { stream, text, fate, secrets, event, request } = line;
        if let Some(event) = event {
            self.books.till.count(*event);
        }
        if let Some(request) = request {
            (self.books.tracer)(container, request, self.last);
        }
        self.books.ledger.write(Written { number: self.last, fate: *fate, secrets: *secrets, text });
        let parts = match rotate {
            Rotate::No => log.write(self.last, *stream, text)?,
            Rotate::Amid => log.write_across_rotation(self.last, *stream, text, now)?,
        };
        self.split += u64::from(parts > 1);
        Ok(())
    }
}

fn plus(time: UnixNanos, by: Duration) -> UnixNanos {
    UnixNanos(time.0 + u64::try_from(by.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
