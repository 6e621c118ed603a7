//! A worker: reads the logs that it owns, in turns, and hands their records on.
//!
//! One turn fills one slab. Logs known to have more wait in a queue, and each gets one slab of bytes when it
//! comes to the front; between them a few of the idle ones are looked at in each turn, so that a log that
//! writes at line speed delays the others by at most a slab for each. What several quiet logs have written
//! shares one slab. A look is a read: an idle file costs one system call.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::generation::GenerationFile;
use super::inbox::Inbox;
use super::lines::Counts;
use super::origin::{AtEnd, Piece};
use super::read::{read_into, read_up_to};
use super::shelf::Shelf;
use crate::data::chunk::SLAB_BYTES;
use crate::data::{Batch, Chunk, LogBuilder, Slab, SlabPool, UnixNanos};
use crate::delivery::Message;
use crate::pipeline::{Outlet, TaskError};
use crate::telemetry::ComponentMetrics;

/// How often every idle log is looked at.
pub const SWEEP: Duration = Duration::from_millis(250);

/// Idle logs that are looked at in each turn beside the one whose turn it is.
const LOOKS: usize = 8;

/// Less room than this in a slab is not worth a read.
const LEAST_ROOM: usize = 4 * 1024;

/// Counts what is lost of a log.
pub type Lost = Arc<dyn Fn(&str, &'static str, u64) + Send + Sync>;

/// Reads logs until it is told to stop.
pub struct Worker {
    inbox: Arc<Inbox>,
    outlet: Outlet,
    pool: SlabPool,
    metrics: Arc<ComponentMetrics>,
    lost: Lost,
    shutdown: CancellationToken,
    shelf: Shelf,
    slab: Option<Slab>,
    pieces: Vec<Piece>,
    /// Idle logs left to look at in the sweep that is on.
    sweep_left: usize,
    next_sweep: Instant,
}

impl Worker {
    /// A worker without logs; they come through `inbox`.
    pub fn new(
        inbox: Arc<Inbox>,
        outlet: Outlet,
        pool: SlabPool,
        metrics: Arc<ComponentMetrics>,
        lost: Lost,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            inbox,
            outlet,
            pool,
            metrics,
            lost,
            shutdown,
            shelf: Shelf::default(),
            slab: None,
            pieces: Vec::new(),
            sweep_left: 0,
            next_sweep: Instant::now(),
        }
    }

    /// Reads until shutdown, then waits until everything handed on is settled.
    ///
    /// # Errors
    /// Never by itself; the pipeline being gone ends it.
    pub async fn run(mut self) -> Result<(), TaskError> {
        while !self.shutdown.is_cancelled() {
            self.shelf.take_in(&self.inbox);
            self.shelf.apply();
            let read = self.turn().await?;
            if read {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = self.inbox.filled() => {}
                () = tokio::time::sleep_until(self.next_sweep) => {}
                () = self.shutdown.cancelled() => {}
            }
        }
        loop {
            self.shelf.take_in(&self.inbox);
            if self.shelf.origins.values().all(|origin| origin.pending() == 0) {
                return Ok(());
            }
            self.inbox.filled().await;
        }
    }

    /// Fills one slab and hands on what it brought. Returns whether there is reason to take another turn
    /// at once.
    async fn turn(&mut self) -> Result<bool, TaskError> {
        let now = Instant::now();
        if now >= self.next_sweep {
            self.sweep_left = self.shelf.idle.len();
            self.next_sweep = now + SWEEP;
        }
        if self.shelf.ready.is_empty() && self.sweep_left == 0 {
            return Ok(false);
        }
        let mut slab = match self.slab.take() {
            Some(slab) => slab,
            None => tokio::select! {
                slab = self.pool.take() => slab,
                () = self.inbox.filled() => return Ok(true),
                () = self.shutdown.cancelled() => return Ok(false),
            },
        };
        let looks = match self.shelf.ready.is_empty() {
            true => self.sweep_left,
            false => self.sweep_left.max(LOOKS.min(self.shelf.idle.len())),
        };
        for _ in 0..looks {
            let Some(number) = self.shelf.idle.pop_front() else { break };
            self.sweep_left = self.sweep_left.saturating_sub(1);
            slab = self.look(number, slab, now).await?;
            if slab.space().len() < LEAST_ROOM {
                break;
            }
        }
        if slab.space().len() >= LEAST_ROOM
            && let Some(number) = self.shelf.ready.pop_front()
        {
            slab = self.look(number, slab, now).await?;
        }
        if self.pieces.is_empty() {
            self.slab = Some(slab);
        } else {
            self.hand_on(slab.freeze()).await?;
        }
        Ok(self.sweep_left > 0 || !self.shelf.ready.is_empty())
    }

    /// Reads what a log has into the slab; puts the log where it belongs next.
    async fn look(&mut self, number: u32, mut slab: Slab, now: Instant) -> Result<Slab, TaskError> {
        let Some(origin) = self.shelf.origins.get_mut(&number) else { return Ok(slab) };
        let Some((seq, file, offset)) = origin.reading().filter(|_| !origin.is_paused(now)) else {
            if origin.is_finished() {
                origin.finish();
            }
            self.shelf.idle.push_back(number);
            return Ok(slab);
        };
        let Some(open) = file.file() else {
            self.skip_given_up(number, &file, offset);
            return Ok(slab);
        };
        let room = slab.space().len();
        let (back, read) = read_into(&open, offset, SLAB_BYTES, slab).await;
        slab = back;
        let n = match read {
            Ok(n) => n,
            Err(error) => {
                let path = &origin.progress.path;
                tracing::warn!(component = %self.metrics.name, path = %path, offset, %error, "cannot read; trying again");
                self.metrics.error(format!("{path} cannot be read at {offset}: {error}"));
                self.shelf.idle.push_back(number);
                return Ok(slab);
            }
        };
        file.set_size(file.size().max(offset + n as u64));
        let reached = origin.reached(seq, offset, UnixNanos::now());
        let lines = memchr::memrchr(b'\n', &slab.space()[..n]).map_or(0, |feed| feed + 1);
        let from = slab.filled().len();
        let mut piece = Piece {
            origin: number,
            epoch: origin.epoch,
            seq,
            offset,
            from,
            len: lines,
            reached,
            end: origin.position(reached),
            last: false,
            file,
        };
        if lines > 0 {
            slab.advance(lines);
            origin.advance(&piece.file, offset + lines as u64);
            piece.end = origin.position(reached);
            self.pieces.push(piece);
            // A short read is the end of the file, as far as it was written.
            let more = n == room;
            self.shelf.put(number, more);
        } else if n == room && n > 0 {
            // A line longer than the room: with a whole slab of room, read it by itself.
            if from == 0 {
                self.long_line(piece, &open).await?;
            } else {
                self.shelf.ready.push_front(number);
            }
        } else {
            self.at_end(piece, &mut slab, n, now);
        }
        Ok(slab)
    }

    /// Nothing complete is left in the generation: what its end means.
    fn at_end(&mut self, mut piece: Piece, slab: &mut Slab, n: usize, now: Instant) {
        let number = piece.origin;
        let Some(origin) = self.shelf.origins.get_mut(&number) else { return };
        match origin.at_end(&piece.file, piece.offset + n as u64, now) {
            AtEnd::Wait => self.shelf.put(number, false),
            AtEnd::Finished => {
                // The last line has no line feed and will get none.
                slab.advance(n);
                piece.len = n;
                origin.advance(&piece.file, piece.offset + n as u64);
                piece.end = origin.next_generation(piece.reached);
                piece.last = origin.is_finished();
                self.pieces.push(piece);
                self.shelf.put(number, true);
            }
        }
    }

    /// Reads a line that no slab holds, up to the longest that a record may be.
    async fn long_line(&mut self, mut piece: Piece, open: &Arc<std::fs::File>) -> Result<(), TaskError> {
        let number = piece.origin;
        let Some(origin) = self.shelf.origins.get_mut(&number) else { return Ok(()) };
        // A header, and the line feed, come on top.
        let most = origin.cutter.most() + 256;
        let (file, offset) = (open.clone(), piece.offset);
        let read = tokio::task::spawn_blocking(move || read_up_to(&file, offset, most)).await;
        let bytes = match read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.metrics.error(format!("{} cannot be read at {offset}: {error}", origin.progress.path));
                self.shelf.put(number, false);
                return Ok(());
            }
        };
        let lines = memchr::memrchr(b'\n', &bytes).map_or(0, |feed| feed + 1);
        piece.len = match lines {
            0 if bytes.len() == most => most,
            0 => {
                let ended = origin.at_end(&piece.file, offset + bytes.len() as u64, Instant::now());
                if ended == AtEnd::Wait {
                    self.shelf.put(number, false);
                    return Ok(());
                }
                bytes.len()
            }
            lines => lines,
        };
        (piece.from, piece.epoch) = (0, origin.epoch);
        origin.advance(&piece.file, offset + piece.len as u64);
        piece.end = origin.position(piece.reached);
        self.shelf.put(number, true);
        let permit = self.pool.budget().try_acquire(bytes.len() as u64);
        let chunk = match permit {
            Some(permit) => Chunk::from_paid_vec(bytes, permit),
            None => Chunk::from_vec(bytes),
        };
        self.hand_on_piece(&piece, &chunk).await
    }

    /// The file was given up: what was not read of it is lost.
    fn skip_given_up(&mut self, number: u32, file: &GenerationFile, offset: u64) {
        let Some(origin) = self.shelf.origins.get_mut(&number) else { return };
        let lost = file.count_lost(offset);
        if lost > 0 {
            (self.lost)(&origin.progress.path, "given up", lost);
        }
        let reached = UnixNanos::now();
        let end = origin.next_generation(reached);
        origin.skip(end);
        self.shelf.put(number, true);
    }

    /// Hands on everything that this turn read.
    async fn hand_on(&mut self, chunk: Chunk) -> Result<(), TaskError> {
        let mut pieces = std::mem::take(&mut self.pieces);
        for piece in pieces.drain(..) {
            self.hand_on_piece(&piece, &chunk).await?;
        }
        self.pieces = pieces;
        Ok(())
    }

    async fn hand_on_piece(&mut self, piece: &Piece, chunk: &Chunk) -> Result<(), TaskError> {
        let Some(origin) = self.shelf.origins.get_mut(&piece.origin).filter(|o| o.epoch == piece.epoch) else {
            return Ok(());
        };
        self.metrics.bytes_in.inc_by(piece.len as u64);
        let segment = piece.segment(chunk);
        let mut builder = LogBuilder::new(origin.resource.clone(), origin.scope.clone());
        let counts = origin.cutter.cut(&segment, &mut builder);
        self.count(piece, counts);
        self.send(piece, builder).await?;
        if piece.last
            && let Some(origin) = self.shelf.origins.get_mut(&piece.origin).filter(|o| o.epoch == piece.epoch)
        {
            let mut builder = LogBuilder::new(origin.resource.clone(), origin.scope.clone());
            let counts = origin.cutter.flush(&segment, &mut builder);
            self.count(piece, counts);
            self.send(piece, builder).await?;
        }
        Ok(())
    }

    /// Sends a batch, or moves the position where there is nothing to send.
    async fn send(&mut self, piece: &Piece, builder: LogBuilder) -> Result<(), TaskError> {
        let Some(origin) = self.shelf.origins.get_mut(&piece.origin) else { return Ok(()) };
        if builder.is_empty() {
            origin.skip(piece.end);
            return Ok(());
        }
        let batch = builder.build();
        self.metrics.records_in.inc_by(batch.records().len() as u64);
        let first_attempt = origin.first_attempt(piece.seq, piece.offset);
        let (token, mailbox) = (origin.push(piece.end), origin.mailbox.clone());
        // While a reload holds the gate, everything sent before may be withdrawn: then this is, too.
        let ack = tokio::select! {
            biased;
            ack = self.outlet.ack(mailbox, token, false) => ack.map_err(|gone| TaskError(gone.to_string()))?,
            () = self.shutdown.cancelled() => {
                // Nobody will settle it: the log's other batches keep the place to read from again.
                origin.settle(token, true, Instant::now());
                return Ok(());
            }
        };
        self.shelf.take_in(&self.inbox);
        if self.shelf.origins.get(&piece.origin).is_none_or(|origin| origin.epoch != piece.epoch) {
            ack.done();
            return Ok(());
        }
        let mut message = Message::new(Batch::Logs(batch), ack);
        message.first_attempt = first_attempt;
        let sending = self.outlet.send(message);
        tokio::pin!(sending);
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => return sent.map_err(|gone| TaskError(gone.to_string())),
                () = self.inbox.filled() => self.shelf.take_in(&self.inbox),
            }
        }
    }

    fn count(&self, piece: &Piece, counts: Counts) {
        let Some(origin) = self.shelf.origins.get(&piece.origin) else { return };
        let path = &origin.progress.path;
        let error = |count: u64, what: &str, why: &str| {
            if count > 0 {
                self.metrics.errors.inc_by(count - 1);
                let words = format!("{path}: {count} {what} near offset {} {why}", piece.offset);
                tracing::debug!(component = %self.metrics.name, "{words}");
                self.metrics.error(words);
            }
        };
        error(counts.broken, "lines", "have no runtime's header");
        error(counts.cut, "records", "were too long and were cut");
        if counts.lost > 0 {
            (self.lost)(path, "given up", counts.lost);
        }
    }
}
