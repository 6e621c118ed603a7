//! The ways to receivers by their names, and who goes on where one is gone. A way is named by its receiver, its kind and
//! [whom it leads to](crate::alerting::sending::Target), not by its place in the configuration: whoever adds, removes or
//! reorders integrations must not send the end of an incident to somebody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Receivers;
use crate::alerting::Notifier;
use crate::alerting::outbox::LaneName;

/// What sends, by the way that it goes.
pub(super) type Ways = BTreeMap<LaneName, Arc<dyn Notifier>>;

/// Longest number by which journals of before named an integration among those of its kind; a hash is longer.
const LONGEST_PLACE: usize = 4;

/// All ways to some receivers.
pub(super) fn ways(receivers: &Receivers) -> Ways {
    let of = |(receiver, notifiers): (&Arc<str>, &Vec<Arc<dyn Notifier>>)| {
        let lane = |integration| LaneName { receiver: receiver.clone(), integration };
        names(notifiers).into_iter().map(lane).zip(notifiers.iter().cloned()).collect::<Vec<_>>()
    };
    receivers.iter().flat_map(of).collect()
}

/// Names of the integrations of one receiver, in their order. Those that are the same in whom they send to are numbered.
pub(super) fn names(notifiers: &[Arc<dyn Notifier>]) -> Vec<Arc<str>> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let name = |notifier: &Arc<dyn Notifier>| {
        let name = name(&**notifier);
        let before = seen.entry(name.clone()).or_default();
        *before += 1;
        if *before == 1 { name.into() } else { format!("{name}/{}", *before - 1).into() }
    };
    notifiers.iter().map(name).collect()
}

/// Whether what sends this way still leads where it led: a secret that its file changed meanwhile does not.
pub(super) fn leads_there(lane: &LaneName, notifier: &dyn Notifier) -> bool {
    target(lane) == name(notifier)
}

/// Who goes on with what goes a way that is `gone`, one of `all_gone`: the one that leads to the same target, in the same
/// receiver if there. A journal of before does not say where its ways lead; it is clear only where there is one of the kind.
pub(super) fn heir<'a>(gone: &LaneName, all_gone: &[LaneName], there: &'a Ways) -> Option<&'a LaneName> {
    if !is_place(gone) {
        let same = there.keys().filter(|lane| target(lane) == target(gone));
        return same.min_by_key(|lane| lane.receiver != gone.receiver);
    }
    let is_like = |lane: &&LaneName| lane.receiver == gone.receiver && lane.kind() == gone.kind();
    let mut like = there.keys().filter(is_like);
    let heir = like.next().filter(|_| like.next().is_none())?;
    (all_gone.iter().filter(|lane| is_place(lane)).filter(is_like).count() == 1).then_some(heir)
}

fn name(notifier: &dyn Notifier) -> String {
    format!("{}/{}", notifier.kind(), notifier.target())
}

/// The name without a number.
fn target(lane: &LaneName) -> &str {
    match lane.integration.match_indices('/').nth(1) {
        Some((end, _)) => &lane.integration[..end],
        None => &lane.integration,
    }
}

/// Whether it is named by its place, as in journals of before.
fn is_place(lane: &LaneName) -> bool {
    let place = lane.integration.split('/').nth(1).unwrap_or_default();
    place.len() <= LONGEST_PLACE && place.bytes().all(|digit| digit.is_ascii_digit())
}
