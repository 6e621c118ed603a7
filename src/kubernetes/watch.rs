//! A watch of one kind of objects: listed once, then followed by resource version, as the API's concepts lay down
//! (kubernetes.io/docs/reference/using-api/api-concepts). A watch that breaks goes on where it was; where the
//! server has forgotten that version (410), the objects are listed anew, and whoever follows learns what is gone
//! only when the new list is whole.
//!
//! Objects are turned into what is kept of them at once, one page of a list at a time, and handed on through a
//! channel that is bounded: a slow receiver slows the reading down.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::{StreamExt, pin_mut};
use kube::api::{ListParams, VersionMatch, WatchParams};
use kube::core::{Status, WatchEvent};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// Objects a request of a list asks for.
const PAGE: u32 = 500;

/// Seconds after which the server ends a watch, which then goes on with a new request.
const WATCH_FOR: u32 = 290;

/// A watch that is silent for this long is dead: the server would have ended it.
const SILENCE: Duration = Duration::from_secs(WATCH_FOR as u64 + 10);

/// First and longest wait after an error.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A watch that lived for this long was no failure.
const LIVED: Duration = Duration::from_secs(5);

/// Namespace (empty for objects of the cluster) and name.
pub type Key = (Box<str>, Box<str>);

/// Which objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// A label selector; empty for all.
    pub label: String,
    /// A field selector; empty for all.
    pub field: String,
}

/// What a watch tells.
#[derive(Debug)]
pub enum Event<T> {
    /// All objects follow, each as [`Event::Set`], up to [`Event::Listed`].
    Listing,
    /// An object is there, or changed.
    Set(Key, T),
    /// An object is gone.
    Gone(Key),
    /// The list is whole: what was there and is not in it is gone.
    Listed,
    /// The server cannot be asked, or refuses; in words, with what to do. It is asked again.
    Failed(String),
    /// The server answers.
    Works,
}

/// Follows the objects of `api` until nobody receives what it sends, each with the number `watch`. `keep` turns an
/// object into what is kept; one that it makes nothing of counts as gone.
pub async fn follow<K, T>(
    api: Api<K>,
    selector: &Selector,
    mut keep: impl FnMut(K) -> Option<T>,
    sender: &mpsc::Sender<(usize, Event<T>)>,
    watch: usize,
) -> Result<(), Closed>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let out = Out { sender, watch };
    let mut wait = BackOff::default();
    // What a field selects, such as the pods of a node, is short and asked for by every agent: the first list of
    // it may come from the server's cache, as of any time and whole, since a cache knows no pages. Everything
    // else comes in pages; a list after a 410 must be newer than what is known.
    let mut cached = !selector.field.is_empty();
    loop {
        let mut version = match list(&api, selector, cached, &mut keep, &out).await {
            Ok(version) => version,
            Err(Stopped::Closed) => return Err(Closed),
            Err(Stopped::By(error)) => {
                out.send(Event::Failed(words(&api, &error))).await?;
                wait.after_error().await;
                continue;
            }
        };
        cached = false;
        // Until the version is forgotten.
        loop {
            let began = Instant::now();
            let ended = follow_from(&api, selector, &mut version, &mut keep, &out).await;
            let lived = began.elapsed() >= LIVED;
            if lived {
                wait = BackOff::default();
            }
            match ended {
                Ok(()) if lived => {}
                Ok(()) => wait.after_error().await,
                Err(Stopped::Closed) => return Err(Closed),
                Err(Stopped::By(kube::Error::Api(status))) if is_gone(&status) => {
                    // A server that forgets every version at once must not be asked for list after list.
                    if !lived {
                        wait.after_error().await;
                    }
                    break;
                }
                Err(Stopped::By(error)) => {
                    out.send(Event::Failed(words(&api, &error))).await?;
                    wait.after_error().await;
                }
            }
        }
    }
}

/// Nobody receives.
#[derive(Debug)]
pub struct Closed;

struct Out<'a, T> {
    sender: &'a mpsc::Sender<(usize, Event<T>)>,
    watch: usize,
}

impl<T> Out<'_, T> {
    async fn send(&self, event: Event<T>) -> Result<(), Closed> {
        self.sender.send((self.watch, event)).await.map_err(|_| Closed)
    }
}

enum Stopped {
    Closed,
    By(kube::Error),
}

impl From<Closed> for Stopped {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// Lists all objects; returns the version to go on from.
async fn list<K, T>(
    api: &Api<K>,
    selector: &Selector,
    cached: bool,
    keep: &mut impl FnMut(K) -> Option<T>,
    out: &Out<'_, T>,
) -> Result<String, Stopped>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut asked = ListParams {
        label_selector: some(&selector.label),
        field_selector: some(&selector.field),
        limit: (!cached).then_some(PAGE),
        resource_version: cached.then(|| "0".into()),
        version_match: cached.then_some(VersionMatch::NotOlderThan),
        ..ListParams::default()
    };
    let mut began = false;
    loop {
        let page = api.list(&asked).await.map_err(Stopped::By)?;
        if !std::mem::replace(&mut began, true) {
            out.send(Event::Works).await?;
            out.send(Event::Listing).await?;
        }
        for object in page.items {
            let key = key(&object);
            if let Some(kept) = keep(object) {
                out.send(Event::Set(key, kept)).await?;
            }
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => {
                // The token names the version.
                (asked.resource_version, asked.version_match, asked.limit) = (None, None, Some(PAGE));
                asked.continue_token = Some(token);
            }
            None => {
                out.send(Event::Listed).await?;
                return Ok(page.metadata.resource_version.unwrap_or_default());
            }
        }
    }
}

/// Follows changes until the watch ends, however it does.
async fn follow_from<K, T>(
    api: &Api<K>,
    selector: &Selector,
    version: &mut String,
    keep: &mut impl FnMut(K) -> Option<T>,
    out: &Out<'_, T>,
) -> Result<(), Stopped>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let asked = WatchParams {
        label_selector: some(&selector.label),
        field_selector: some(&selector.field),
        timeout: Some(WATCH_FOR),
        bookmarks: true,
        send_initial_events: false,
    };
    let events = api.watch(&asked, version).await.map_err(Stopped::By)?;
    pin_mut!(events);
    out.send(Event::Works).await?;
    // A connection that breaks is no error yet: the next request will tell.
    while let Ok(Some(Ok(event))) = timeout(SILENCE, events.next()).await {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                version_of(&object, version);
                let key = key(&object);
                let event = match keep(object) {
                    Some(kept) => Event::Set(key, kept),
                    None => Event::Gone(key),
                };
                out.send(event).await?;
            }
            WatchEvent::Deleted(object) => {
                version_of(&object, version);
                out.send(Event::Gone(key(&object))).await?;
            }
            WatchEvent::Bookmark(bookmark) => *version = bookmark.metadata.resource_version,
            WatchEvent::Error(status) => return Err(Stopped::By(kube::Error::Api(status))),
        }
    }
    Ok(())
}

fn version_of(object: &impl ResourceExt, version: &mut String) {
    if let Some(newer) = &object.meta().resource_version {
        version.clone_from(newer);
    }
}

fn key(object: &impl ResourceExt) -> Key {
    (object.namespace().unwrap_or_default().into(), object.name_any().into())
}

fn is_gone(status: &Status) -> bool {
    status.code == 410 || status.reason == "Expired"
}

/// What is wrong and what to do.
fn words<K: Resource>(api: &Api<K>, error: &kube::Error) -> String {
    let what = api.resource_url().rsplit('/').next().unwrap_or_default();
    match error {
        kube::Error::Api(status) => match status.code {
            401 => format!(
                "the API server does not know these credentials ({}): the token is wrong or has expired; it is read \
                 again from its file and tried again",
                status.message
            ),
            403 => format!(
                "the API server forbids to list and watch {what} ({}): bind the role in deploy/kubernetes/scrape, or \
                 that in deploy/kubernetes/otlp for the pods of senders alone, to the agent's service account, or \
                 narrow `namespaces` to where it is allowed",
                status.message
            ),
            404 => format!("the API server has no {what} ({}): the cluster is too old for this role", status.message),
            code => format!("the API server answers {code} for {what}: {}", status.message),
        },
        error => format!("the API server cannot be asked for {what}: {}", causes(error)),
    }
}

/// An error's innermost causes, which say more than what is around them.
fn causes(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(cause) = inner.source() {
        inner = cause;
    }
    inner.to_string()
}

/// Waits longer after every error, up to a limit, never as long as the others.
struct BackOff(Duration);

impl Default for BackOff {
    fn default() -> Self {
        Self(BACK_OFF.0)
    }
}

impl BackOff {
    async fn after_error(&mut self) {
        sleep(self.0.mul_f64(0.5 + fastrand::f64())).await;
        self.0 = (self.0 * 2).min(BACK_OFF.1);
    }
}

#[cfg(test)]
mod tests;
