//! What outlives the graph: a part of the agent that a component takes over from the one before it at a reload, and that
//! others may look at meanwhile.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Things that are there once in a process, each known by its type.
#[derive(Default)]
pub struct Lasting(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Lasting {
    /// The one of this type, if there is one.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&TypeId::of::<T>()).and_then(|found| found.clone().downcast().ok())
    }

    /// The one of this type, made now where there is none.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn get_or_try_make<T: Any + Send + Sync, E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&TypeId::of::<T>()).and_then(|found| found.clone().downcast().ok()) {
            return Ok(found);
        }
        let made = Arc::new(make()?);
        known.insert(TypeId::of::<T>(), made.clone());
        Ok(made)
    }
}

impl std::fmt::Debug for Lasting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lasting").finish_non_exhaustive()
    }
}
