//! The logs of one worker: which are worth a look at once, which wait, and what was heard about them.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use super::inbox::{Command, Inbox, Settled};
use super::origin::Origin;

/// The logs, and what was heard about them.
#[derive(Default)]
pub(super) struct Shelf {
    pub origins: BTreeMap<u32, Origin>,
    pub ready: VecDeque<u32>,
    pub idle: VecDeque<u32>,
    commands: Vec<Command>,
    settled: Vec<Settled>,
}

impl Shelf {
    /// Takes what came: verdicts at once, commands for later.
    pub fn take_in(&mut self, inbox: &Inbox) {
        inbox.take(&mut self.commands, &mut self.settled);
        let now = Instant::now();
        for settled in self.settled.drain(..) {
            if let Some(origin) = self.origins.get_mut(&settled.origin) {
                origin.settle(settled.token, settled.abandoned, now);
            }
        }
    }

    pub fn apply(&mut self) {
        for command in self.commands.drain(..) {
            match command {
                Command::Add(origin) => {
                    self.ready.push_back(origin.number);
                    self.origins.insert(origin.number, *origin);
                }
                Command::Extend { origin, file } => {
                    if let Some(origin) = self.origins.get_mut(&origin) {
                        origin.extend(file);
                    }
                }
                Command::End { origin } => {
                    if let Some(origin) = self.origins.get_mut(&origin) {
                        origin.end();
                    }
                }
                Command::Remove { origin } => {
                    self.origins.remove(&origin);
                    self.idle.retain(|number| *number != origin);
                    self.ready.retain(|number| *number != origin);
                }
            }
        }
    }

    pub fn put(&mut self, number: u32, more: bool) {
        let queue = if more { &mut self.ready } else { &mut self.idle };
        queue.push_back(number);
    }
}
