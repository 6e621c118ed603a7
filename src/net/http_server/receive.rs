//! What a receiver asks of a request: that its client is let in, and a body within limits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::Instant;

use crate::data::{Budget, Permit};
use crate::formats::inflate::{self, InflateError, Inflater};
use crate::options::http_server::Login;
use crate::options::{HttpServerOptions, Secret};

/// Time for a whole body. Who sends it byte by byte holds a connection no longer than this.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// How often files of secrets are looked at for a change.
const REREAD_EVERY: Duration = Duration::from_secs(10);

/// Limits of a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Most bytes as it is sent.
    pub wire: usize,
    /// Most bytes without compression.
    pub inflated: usize,
}

/// Why a body is not taken. As a response it has the status that fits and says why.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is too large: 413.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// It did not arrive in time: 408.
    #[error("the body did not arrive within {BODY_TIMEOUT:?}")]
    Timeout,
    /// There is no memory for it now: 429.
    #[error("there is no memory for the body now")]
    NoRoom,
    /// The connection ended within it: 400.
    #[error("the body broke off: {0}")]
    Broken(String),
    /// It cannot be inflated: 400, or 413.
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// It is encoded in a way that is not understood: 415.
    #[error("the encoding `{0}` is not understood; send gzip, zstd or none")]
    Encoding(String),
}

impl BodyError {
    /// The status that tells a client so.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge(_) | Self::Inflate(InflateError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::NoRoom => StatusCode::TOO_MANY_REQUESTS,
            Self::Broken(_) | Self::Inflate(_) => StatusCode::BAD_REQUEST,
            Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        (self.status(), format!("{self}\n")).into_response()
    }
}

/// Undoes a compression: what, into where, and most bytes of it.
pub type Unpack = fn(&[u8], &mut Vec<u8>, usize) -> Result<(), InflateError>;

impl BodyLimits {
    /// The limits that options name.
    pub fn new(options: &HttpServerOptions) -> Self {
        let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        Self { wire: size(options.max_body.0), inflated: size(options.max_inflated.0) }
    }

    /// Reads a body as it is sent, for encodings that a component knows itself (snappy's blocks), and what pays for
    /// it from `memory`.
    pub async fn read(&self, memory: &Arc<Budget>, body: Body) -> Result<(Bytes, Permit), BodyError> {
        let most = self.wire;
        if body.size_hint().lower() > most as u64 {
            return Err(BodyError::TooLarge(most));
        }
        let read = async {
            let expected = body.size_hint().exact().unwrap_or(ASSUMED).max(1);
            let mut permit = room(memory, expected).await?;
            let (mut body, mut first, mut whole) = (body, Bytes::new(), BytesMut::new());
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
                let Ok(part) = frame.into_data() else { continue };
                let length = first.len() + whole.len() + part.len();
                if length > most {
                    return Err(BodyError::TooLarge(most));
                }
                if length as u64 > permit.bytes() {
                    let doubled = (2 * permit.bytes()).max(length as u64);
                    drop(room(memory, doubled - permit.bytes()).await?);
                    permit.resize(doubled);
                }
                if first.is_empty() && whole.is_empty() {
                    first = part;
                    continue;
                }
                whole.extend_from_slice(&std::mem::take(&mut first));
                whole.extend_from_slice(&part);
            }
            // A body that came in one part is not copied.
            let body = if whole.is_empty() { first } else { whole.freeze() };
            permit.resize(body.len() as u64);
            Ok((body, permit))
        };
        tokio::time::timeout(BODY_TIMEOUT, read).await.unwrap_or(Err(BodyError::Timeout))
    }

    /// Reads a body and undoes gzip or zstd.
    pub async fn read_inflated(
        &self,
        memory: &Arc<Budget>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Bytes, Permit), BodyError> {
        let unpack: Unpack = match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"" | b"identity") => {
                let (body, permit) = self.read(memory, body).await?;
                let most = self.inflated;
                return if body.len() > most { Err(BodyError::TooLarge(most)) } else { Ok((body, permit)) };
            }
            Some(b"gzip" | b"x-gzip") => |packed, text, most| Inflater::default().gzip(packed, text, most),
            Some(b"zstd") => inflate::zstd,
            Some(other) => return Err(BodyError::Encoding(String::from_utf8_lossy(other).into_owned())),
        };
        let (body, permit) = self.read(memory, body).await?;
        self.unpack(memory, unpack, &body, permit).await
    }

    /// Undoes a compression. Few bytes can stand for many: what is beyond the usual ratio has to find room first.
    pub async fn unpack(
        &self,
        memory: &Arc<Budget>,
        unpack: Unpack,
        packed: &[u8],
        mut permit: Permit,
    ) -> Result<(Bytes, Permit), BodyError> {
        let usual = packed.len().saturating_mul(USUAL_RATIO).min(self.inflated);
        let mut text = Vec::new();
        for most in [usual, self.inflated] {
            drop(room(memory, most as u64).await?);
            permit.resize((packed.len() + most) as u64);
            match unpack(packed, &mut text, most) {
                Err(InflateError::TooLarge(_)) if most < self.inflated => {}
                done => {
                    done?;
                    break;
                }
            }
        }
        permit.resize(text.capacity() as u64);
        Ok((text.into(), permit))
    }
}

/// Bytes that a body of unknown length is expected to have.
const ASSUMED: u64 = 128 << 10;

/// What bodies shrink to one of so many of, or less, as a rule.
const USUAL_RATIO: usize = 12;

/// Longest wait for memory, while a client holds its body back.
const ROOM_TIMEOUT: Duration = Duration::from_secs(5);

async fn room(memory: &Arc<Budget>, bytes: u64) -> Result<Permit, BodyError> {
    tokio::time::timeout(ROOM_TIMEOUT, memory.acquire(bytes)).await.map_err(|_| BodyError::NoRoom)
}

/// Lets only those in that know what `login` asks for. Its secrets are read again when their files change.
pub fn guard(router: Router, login: Option<&Login>) -> Router {
    let Some(login) = login else { return router };
    let guard = Arc::new(Guard { login: login.clone(), looked: Mutex::new(Instant::now()) });
    router.layer(axum::middleware::from_fn_with_state(guard, admit))
}

struct Guard {
    login: Login,
    looked: Mutex<Instant>,
}

async fn admit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).cloned();
    let given = given.as_ref().map(HeaderValue::as_bytes);
    guard.reread_if_due(REREAD_EVERY).await;
    if guard.admits(given)
        || (given.is_some() && guard.reread_if_due(Duration::from_secs(1)).await && guard.admits(given))
    {
        return next.run(request).await;
    }
    let scheme = if guard.login.bearer_token.is_some() { "Bearer" } else { "Basic realm=\"tailwater\"" };
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, scheme)], "credentials are missing or wrong\n").into_response()
}

impl Guard {
    fn admits(&self, given: Option<&[u8]>) -> bool {
        let Some((scheme, credentials)) =
            given.and_then(|given| given.iter().position(|&byte| byte == b' ').map(|at| given.split_at(at)))
        else {
            return false;
        };
        let credentials = credentials.trim_ascii();
        match (&self.login.bearer_token, &self.login.username, &self.login.password) {
            (Some(token), ..) => scheme.eq_ignore_ascii_case(b"bearer") && same(credentials, token.expose().as_bytes()),
            (None, Some(user), Some(password)) => {
                let pair = base64::engine::general_purpose::STANDARD.decode(credentials).unwrap_or_default();
                let expected = format!("{user}:{}", password.expose());
                scheme.eq_ignore_ascii_case(b"basic") && same(&pair, expected.as_bytes())
            }
            _ => false,
        }
    }

    /// Reads the secrets again, where that was not done for this long.
    async fn reread_if_due(&self, age: Duration) -> bool {
        let secrets = [&self.login.bearer_token, &self.login.password];
        let secrets: Vec<Secret> =
            secrets.into_iter().flatten().filter(|secret| secret.file().is_some()).cloned().collect();
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if secrets.is_empty() || looked.elapsed() < age {
                return false;
            }
            *looked = Instant::now();
        }
        // A file that is gone for a moment, as during a swap, leaves the secret as it was.
        let read = move || secrets.iter().filter(|secret| secret.reread().is_ok_and(|changed| changed)).count() > 0;
        tokio::task::spawn_blocking(read).await.unwrap_or(false)
    }
}

/// Compares in a time that says nothing of where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
