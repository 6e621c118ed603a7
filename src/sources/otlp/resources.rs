//! Resources of log records as they were read before: senders say the same one in every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::data::Resource;
use crate::formats::otlp::MessageError;
use crate::formats::otlp::origin::read_resource;
use crate::options::Identity;
use crate::pipeline::component::identify;

/// Most bytes of messages that are kept, with what each takes besides; beyond them all are read again.
const MOST_BYTES: usize = 4 << 20;

/// About what a resource takes besides its text.
const BESIDES: usize = 1024;

/// Resources by their encoded messages, with the agent's identity where they have none of their own.
pub(super) struct Resources {
    identity: Identity,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    resources: HashMap<Box<[u8]>, Arc<Resource>>,
    bytes: usize,
}

impl Resources {
    pub fn new(identity: Identity) -> Self {
        Self { identity, known: Mutex::default() }
    }

    /// The resource of a message and the URL of its schema.
    pub fn get(&self, message: &[u8], schema_url: &[u8]) -> Result<Arc<Resource>, MessageError> {
        // The length keeps the two apart.
        let key = [&(message.len() as u64).to_le_bytes(), message, schema_url].concat();
        if let Some(known) = self.lock().resources.get(&*key) {
            return Ok(known.clone());
        }
        let resource = Arc::new(identify(&self.identity, &read_resource(message, schema_url)?));
        let mut known = self.lock();
        let bytes = 4 * key.len() + BESIDES;
        if bytes > MOST_BYTES / 16 {
            return Ok(resource);
        }
        if known.bytes + bytes > MOST_BYTES {
            *known = Known::default();
        }
        known.bytes += bytes;
        known.resources.insert(key.into(), resource.clone());
        Ok(resource)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
