//! Texts and numbers as Go's packages `strconv` and `fmt` write and read them: queries, matchers, templates and what
//! Prometheus and Alertmanager say are full of them.

mod float;
mod literal;
mod quote;

pub use float::{Shortest, Style, binary, float, hex};
pub use literal::{Unit, unit, unquote};
pub use quote::{Quoted, can_be_raw, is_printable, quote, quote_letter};
