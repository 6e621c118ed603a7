//! Floor 0: the data model. Payload lives in refcounted, immutable [`Chunk`]s; a batch holds 12-byte
//! [`Slice`]s into them, so that moving, forking or filtering a batch moves offsets and never bytes.
//!
//! Nothing here does I/O, knows a protocol or encodes anything: pre-encoded bytes are stored as opaque.

pub mod attributes;
pub mod batch;
pub mod budget;
pub mod chunk;
mod compact;
pub mod histogram;
pub mod label_hash;
pub mod labels;
pub mod logs;
pub mod metrics;
pub mod names;
pub mod overlay;
pub mod recycle;
pub mod resource;
pub mod selection;
pub mod series_table;
pub mod severity;
pub mod target_group;
pub mod time;
pub mod traces;

pub use attributes::{Attribute, Value};
pub use batch::{Batch, Signal};
pub use budget::{Budget, MemoryBudget, Permit};
pub use chunk::{Chunk, Slab, SlabPool, Slice};
pub use histogram::Histogram;
pub use labels::{LabelSet, Labels};
pub use logs::{Generation, LogBatch, LogBuilder, LogRecord, LogView};
pub use metrics::{MetricBatch, MetricBuilder, MetricKind};
pub use names::{NameId, Names};
pub use overlay::{Cut, Field, FieldEdit, JsonKind, Overlay, RecordState};
pub use resource::{EncodingId, Resource, Scope};
pub use selection::Selection;
pub use series_table::{SeriesList, SeriesRef, SeriesTable};
pub use severity::Severity;
pub use target_group::TargetGroup;
pub use time::{UnixMillis, UnixNanos};
pub use traces::TraceBatch;
