//! A request's body in pieces, so that what a batch holds is sent from where it lies.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// The bytes of a body, one piece after the other. Cloning it copies nothing.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    pieces: Option<Arc<[Bytes]>>,
    len: usize,
}

impl Payload {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Bytes] {
        self.pieces.as_deref().unwrap_or_default()
    }

    /// The body that sends them.
    pub(super) fn body(&self) -> PayloadBody {
        PayloadBody { payload: self.clone(), at: 0, left: self.len as u64 }
    }
}

impl From<Vec<Bytes>> for Payload {
    fn from(pieces: Vec<Bytes>) -> Self {
        let len = pieces.iter().map(Bytes::len).sum();
        Self { pieces: Some(pieces.into()), len }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        let len = bytes.len();
        if len == 0 { Self::default() } else { Self { pieces: Some(Arc::new([bytes])), len } }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

/// A payload on its way.
#[derive(Debug, Default)]
pub(super) struct PayloadBody {
    payload: Payload,
    at: usize,
    left: u64,
}

impl Body for PayloadBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.payload.pieces().get(self.at).cloned();
        Poll::Ready(piece.map(|piece| {
            self.at += 1;
            self.left -= piece.len() as u64;
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
