//! Plans that are kept for the next batch of the same list of series, as long as there is room for them.

use std::sync::{Arc, Mutex, PoisonError};

use super::plan::Plan;

/// Plans kept at the most, and bytes of them.
const MOST_PLANS: usize = 1024;
const MOST_BYTES: usize = 16 << 20;

/// The plans of lists.
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// By the number of their list, the one used last at the end.
    plans: Vec<(u64, Arc<Plan>)>,
    bytes: usize,
}

impl Plans {
    /// The plan of a list, which `make` works out where it is not kept.
    pub fn get(&self, list: u64, make: impl FnOnce() -> Plan) -> Arc<Plan> {
        if let Some(found) = self.locked(|kept| kept.find(list)) {
            return found;
        }
        let plan = Arc::new(make());
        self.locked(|kept| {
            // Another may have been as fast.
            if kept.find(list).is_none() {
                kept.bytes += plan.bytes();
                kept.plans.push((list, plan.clone()));
            }
            while kept.plans.len() > MOST_PLANS || kept.plans.len() > 1 && kept.bytes > MOST_BYTES {
                let (_, oldest) = kept.plans.remove(0);
                kept.bytes -= oldest.bytes();
            }
        });
        plan
    }

    /// Bytes of memory that they take.
    pub fn bytes(&self) -> usize {
        self.locked(|kept| kept.bytes)
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn find(&mut self, list: u64) -> Option<Arc<Plan>> {
        let at = self.plans.iter().position(|(known, _)| *known == list)?;
        self.plans[at..].rotate_left(1);
        self.plans.last().map(|(_, plan)| plan.clone())
    }
}
