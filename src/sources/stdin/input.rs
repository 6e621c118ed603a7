//! The process's standard input, read on a thread of its own: a read that waits for a person or a pipe
//! cannot be taken back, so it outlives the source that asked for it, and whichever source comes next, after
//! a reload, gets what it brings.

use std::io;
use std::sync::{Arc, LazyLock, mpsc as std_mpsc};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};

use crate::data::{Chunk, Slab, SlabPool};

/// Where bytes come from.
pub(super) struct Input {
    empty: std_mpsc::Sender<Slab>,
    filled: mpsc::Receiver<(Slab, io::Result<usize>)>,
    reading: bool,
    ended: bool,
    /// The line that had begun when a source stopped.
    pub unfinished: Vec<u8>,
}

/// What a read brought.
pub(super) enum Read {
    /// Bytes.
    Bytes(Chunk),
    /// The end: nothing comes any more.
    End,
}

/// Standard input. It is not read before somebody asks.
pub(super) fn of_process() -> Arc<Mutex<Input>> {
    static INPUT: LazyLock<Arc<Mutex<Input>>> = LazyLock::new(|| Arc::new(Mutex::new(Input::new(io::stdin()))));
    INPUT.clone()
}

/// Pause where the other end has made the descriptor one that does not block.
const PAUSE: Duration = Duration::from_millis(20);

impl Input {
    /// Reads from `reader`, on a thread that ends with it or with this.
    pub fn new(mut reader: impl io::Read + Send + 'static) -> Self {
        let (empty, to_fill) = std_mpsc::channel::<Slab>();
        let (full, filled) = mpsc::channel(1);
        let work = move || {
            for mut slab in to_fill {
                let read = loop {
                    match reader.read(slab.space()) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
                        read => break read,
                    }
                };
                if full.blocking_send((slab, read)).is_err() {
                    return;
                }
            }
        };
        // Without a thread the channel is closed, which reads as the end; the next line would say the same.
        let started = std::thread::Builder::new().name("stdin".to_owned()).spawn(work);
        if let Err(error) = started {
            tracing::error!(%error, "cannot start the thread that reads standard input");
        }
        Self { empty, filled, reading: false, ended: false, unfinished: Vec::new() }
    }

    /// The next bytes. Cancel-safe: what a read that was left brings comes first next time.
    pub async fn read(&mut self, slabs: &SlabPool) -> io::Result<Read> {
        if self.ended {
            return Ok(Read::End);
        }
        if !self.reading {
            let slab = slabs.take().await;
            self.reading = self.empty.send(slab).is_ok();
        }
        let Some((mut slab, read)) = self.filled.recv().await else {
            self.ended = true;
            return Ok(Read::End);
        };
        self.reading = false;
        match read? {
            0 => {
                self.ended = true;
                Ok(Read::End)
            }
            n => {
                slab.advance(n);
                Ok(Read::Bytes(slab.freeze()))
            }
        }
    }
}
