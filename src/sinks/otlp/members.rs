//! The backends that traces are routed to: those that are listed, or all addresses that a name stands for, asked for again
//! and again.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use url::Url;

use crate::delivery::complaints::Complaints;
use crate::net::dns::Resolver;

/// The complaint about a name.
const RESOLVING: &str = "resolving";

/// Addresses of a name.
pub(super) type Resolve = Box<dyn Fn(String) -> BoxFuture<'static, Result<Vec<IpAddr>, String>> + Send + Sync>;

/// Where members come from.
pub(super) enum Members {
    /// These, and no others.
    Listed(Vec<Url>),
    /// All addresses of the host of an address.
    Named {
        /// The address.
        url: Url,
        /// How often it is asked for.
        every: Duration,
        /// Whom it is asked of.
        resolve: Resolve,
    },
}

/// A member is known by its host and port, to every agent by the same.
pub(super) fn name(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

impl Members {
    /// Those of addresses: one that is alone and has a name is all that its name stands for.
    pub fn of(urls: Vec<Url>, every: Duration) -> Self {
        match <[Url; 1]>::try_from(urls) {
            Ok([url]) if matches!(url.host(), Some(url::Host::Domain(_))) => {
                let resolve: Resolve = Box::new(|host| {
                    async move {
                        let resolver = Resolver::of_system();
                        let resolver = resolver.map_err(|error| format!("/etc/resolv.conf cannot be used: {error}"))?;
                        resolver.addresses(&host).await
                    }
                    .boxed()
                });
                Self::Named { url, every, resolve }
            }
            Ok([url]) => Self::Listed(vec![url]),
            Err(urls) => Self::Listed(urls),
        }
    }

    /// Tells the members, in the order of their names, whenever they are others. Where the DNS fails or has none, those that
    /// were known last stay: a member that is gone holds its traces up, one that is forgotten for nothing loses them.
    pub async fn follow(self, tell: watch::Sender<Vec<Url>>, complaints: Arc<Complaints>) -> Infallible {
        let (url, every, resolve) = match self {
            Self::Listed(urls) => {
                tell.send_replace(sorted(urls));
                return std::future::pending().await;
            }
            Self::Named { url, every, resolve } => (url, every, resolve),
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let kept = |words: String| match tell.borrow().len() {
                0 => format!("{words}; nothing can be sent until it has"),
                known => format!("{words}; the {known} that were known last stay"),
            };
            match resolve(host.clone()).await {
                Err(words) => complaints.raise(RESOLVING, kept(format!("`{host}` cannot be resolved: {words}"))),
                Ok(addresses) if addresses.is_empty() => {
                    complaints.raise(RESOLVING, kept(format!("`{host}` has no addresses")));
                }
                Ok(addresses) => {
                    complaints.over(RESOLVING);
                    let urls = sorted(addresses.into_iter().filter_map(|address| at(&url, address)).collect());
                    tell.send_if_modified(|known| {
                        let changed = *known != urls;
                        *known = urls;
                        changed
                    });
                }
            }
        }
    }
}

/// The same address with another host.
fn at(url: &Url, address: IpAddr) -> Option<Url> {
    let mut url = url.clone();
    url.set_ip_host(address).ok()?;
    Some(url)
}

fn sorted(mut urls: Vec<Url>) -> Vec<Url> {
    urls.sort_by_cached_key(name);
    urls.dedup_by_key(|url| name(url));
    urls
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::telemetry::{ComponentMetrics, Telemetry};

    const EVERY: Duration = Duration::from_secs(5);

    type Answer = Result<Vec<IpAddr>, String>;

    struct Followed {
        answer: Arc<Mutex<Answer>>,
        known: watch::Receiver<Vec<Url>>,
        metrics: Arc<ComponentMetrics>,
        task: tokio::task::JoinHandle<Infallible>,
    }

    impl Drop for Followed {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    impl Followed {
        fn start(answer: Answer) -> Self {
            let answer = Arc::new(Mutex::new(answer));
            let says = answer.clone();
            let resolve: Resolve = Box::new(move |host| {
                assert_eq!(host, "gateways");
                std::future::ready(says.lock().expect("not poisoned").clone()).boxed()
            });
            let url = "https://user@gateways:4317/path".parse().expect("an address");
            let metrics = Telemetry::new().component("sink", "otlp/x");
            let complaints = Arc::new(Complaints::new(metrics.clone()));
            let (tell, known) = watch::channel(Vec::new());
            let members = Members::Named { url, every: EVERY, resolve };
            Self { answer, known, metrics, task: tokio::spawn(members.follow(tell, complaints)) }
        }

        /// What is known after the DNS was asked again, and whether that is news.
        async fn after(&mut self, answer: Answer) -> (Vec<String>, bool) {
            *self.answer.lock().expect("not poisoned") = answer;
            tokio::time::sleep(EVERY).await;
            let news = self.known.has_changed().expect("it follows");
            (self.known.borrow_and_update().iter().map(Url::to_string).collect(), news)
        }

        fn unhealthy(&self) -> String {
            self.metrics.health.status().unhealthy.unwrap_or_default()
        }
    }

    fn addresses(texts: &[&str]) -> Answer {
        Ok(texts.iter().map(|text| text.parse().expect("an address")).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn members_are_those_that_the_dns_says_and_the_last_known_where_it_says_none() {
        let mut followed = Followed::start(Err("no server".into()));
        // Half a turn behind the questions.
        tokio::time::sleep(EVERY / 2).await;
        assert!(followed.known.borrow().is_empty());
        assert!(followed.unhealthy().contains("nothing can be sent"), "{}", followed.unhealthy());
        let two = ["https://user@10.0.0.1:4317/path", "https://user@10.0.0.2:4317/path"];
        let (known, news) = followed.after(addresses(&["10.0.0.2", "10.0.0.1", "10.0.0.2"])).await;
        assert_eq!((known.as_slice(), news), (&two.map(String::from)[..], true));
        assert_eq!(followed.unhealthy(), "");
        let (_, news) = followed.after(addresses(&["10.0.0.1", "10.0.0.2"])).await;
        assert!(!news, "servers turn their answers round");
        for nothing in [Err("a timeout".into()), Ok(Vec::new())] {
            let (known, news) = followed.after(nothing).await;
            assert_eq!((known.as_slice(), news), (&two.map(String::from)[..], false));
            assert!(followed.unhealthy().contains("the 2 that were known last stay"), "{}", followed.unhealthy());
        }
        let (known, news) = followed.after(addresses(&["fd00::1"])).await;
        assert_eq!((known, news), (vec!["https://user@[fd00::1]:4317/path".into()], true));
        assert_eq!(followed.unhealthy(), "");
    }

    #[test]
    fn several_addresses_are_members_as_they_are() {
        let urls = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect::<Vec<Url>>();
        let listed = |texts: &[&str]| match Members::of(urls(texts), EVERY) {
            Members::Listed(urls) => Some(sorted(urls).iter().map(name).collect::<Vec<_>>()),
            Members::Named { .. } => None,
        };
        let found = listed(&["http://b", "https://a:1", "http://b:80"]).expect("a list");
        assert_eq!(found, ["a:1", "b:80"]);
        assert_eq!(listed(&["http://127.0.0.1:4317"]).expect("an address is no name"), ["127.0.0.1:4317"]);
        assert_eq!(listed(&["http://gateways:4317"]), None);
    }
}
