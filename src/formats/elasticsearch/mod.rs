//! Elasticsearch's bulk API (8.x, `POST /<target>/_bulk`): action lines and ids in, answers out.

pub mod answer;
pub mod bulk;
pub mod id;

pub use answer::{BulkAnswer, ItemAnswer};
