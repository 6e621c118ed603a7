//! Answers that are too large to be held: a part is sent while the next one is written, and whoever writes waits for a client
//! that is slow. An answer of one part is sent whole, with its length.

use std::io;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::answer::{Answered, Fault, respond, success};

/// Bytes of a part, from which on it is sent.
const PART: usize = 64 << 10;

/// Parts that wait for the client.
const WAITING: usize = 4;

/// How long a client may take to make room for a part, and for the whole answer if a query may not take longer. A query
/// that is answered holds its place among the few that run.
pub(super) const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// The client is gone, or takes nothing any more.
#[derive(Debug)]
pub(super) struct Gone;

/// An answer on its way to a client, for a thread that may block.
pub(super) struct Sending {
    runtime: Handle,
    way: Way,
    /// How long the client may take for the whole answer.
    within: Duration,
}

enum Way {
    /// Nothing was sent yet.
    Asked(oneshot::Sender<Response>),
    Begun(Begun),
    Gone,
}

struct Begun {
    /// `None` says that the answer is complete.
    parts: mpsc::Sender<Option<Bytes>>,
    /// When the answer is given up.
    deadline: Instant,
}

impl Sending {
    /// What is sent from here is the response that the receiver waits for. The client may take as long for the answer as
    /// `within` says.
    pub(super) fn new(runtime: Handle, within: Duration) -> (Self, oneshot::Receiver<Response>) {
        let (asked, response) = oneshot::channel();
        (Self { runtime, way: Way::Asked(asked), within: within.max(TAKEN_WITHIN) }, response)
    }

    /// Sends what is written if it is a part.
    ///
    /// # Errors
    /// Where nobody takes it.
    pub(super) fn take(&mut self, written: &mut Vec<u8>) -> Result<(), Gone> {
        if written.len() < PART {
            return Ok(());
        }
        let next = Vec::with_capacity(written.len() + PART / 8);
        self.send(Some(std::mem::replace(written, next).into()))
    }

    /// Ends the answer. What is wrong with it cannot be told once it has begun, so it is cut off then.
    pub(super) fn finish(mut self, answered: Result<Answered, Fault>) {
        match (std::mem::replace(&mut self.way, Way::Gone), answered) {
            (Way::Asked(asked), answered) => {
                // A client that is gone needs no answer.
                let _ = asked.send(respond(answered));
            }
            (way @ Way::Begun(_), Ok(answered)) => {
                self.way = way;
                let _ = self.send(Some(answered.finish().into())).and_then(|()| self.send(None));
            }
            _ => {}
        }
    }

    fn send(&mut self, part: Option<Bytes>) -> Result<(), Gone> {
        let Begun { parts, deadline } = match std::mem::replace(&mut self.way, Way::Gone) {
            Way::Gone => return Err(Gone),
            Way::Begun(begun) => begun,
            Way::Asked(asked) => {
                let (parts, taken) = mpsc::channel(WAITING);
                asked.send(success(body(taken))).map_err(|_| Gone)?;
                Begun { parts, deadline: Instant::now() + self.within }
            }
        };
        if Instant::now() >= deadline {
            return Err(Gone);
        }
        match parts.try_send(part) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Err(Gone),
            Err(TrySendError::Full(part)) => {
                let until = deadline.min(Instant::now() + TAKEN_WITHIN);
                let sent = self.runtime.block_on(async { timeout_at(until, parts.send(part)).await });
                let Ok(Ok(())) = sent else {
                    return Err(Gone);
                };
            }
        }
        self.way = Way::Begun(Begun { parts, deadline });
        Ok(())
    }
}

/// The parts as they come; an error where they end before they say so, so that nobody takes them for the whole answer.
fn body(mut parts: mpsc::Receiver<Option<Bytes>>) -> Body {
    let mut is_over = false;
    Body::from_stream(stream::poll_fn(move |cx| {
        if is_over {
            return Poll::Ready(None);
        }
        parts.poll_recv(cx).map(|part| match part {
            Some(Some(part)) => Some(Ok(part)),
            Some(None) => None,
            None => {
                is_over = true;
                Some(Err(io::Error::other("the answer is not complete")))
            }
        })
    }))
}
