//! What can be wrong with the options of any receiver, each said in one way.

use crate::alerting::template::Templates;
use crate::options::http_client::TWICE;
use crate::options::{Code, Problem, Span, Spanned};
use url::Url;

use super::text::Text;

/// Something is missing without which a receiver cannot be reached.
pub const REQUIRED: Code = Code("TW1041");

/// It exists in Alertmanager and not here.
pub const NOT_HERE: Code = Code("TW1042");

/// What is given as an address is none.
pub const ADDRESS: Code = Code("TW1043");

/// A template that cannot be read.
pub const TEMPLATE: Code = Code("TW1044");

/// A value out of its range.
pub const LIMIT: Code = Code("TW1045");

/// At most one of two options may be given; the problem stands where the second is.
pub fn either(first: &str, has: bool, second: &str, both: bool, span: Span, found: &mut Vec<Problem>) {
    if has && both {
        let message = format!("`{first}` and `{second}` exclude each other");
        found.push(Problem::new(TWICE, span, message).help("keep one of them"));
    }
}

/// Nothing of this is given.
pub fn missing(what: &str, span: Span, found: &mut Vec<Problem>) {
    let message = format!("{what} is missing");
    found.push(Problem::new(REQUIRED, span, message).help(format!("give {what}")));
}

/// An option that Alertmanager has.
pub fn not_here<T>(name: &str, written: Option<&Spanned<T>>, instead: &str, found: &mut Vec<Problem>) {
    if let Some(written) = written {
        found.push(Problem::new(NOT_HERE, written.span, format!("`{name}` is not supported")).help(instead));
    }
}

/// Whether it is an address of HTTP; says so where it is none. What it says may be secret and is not repeated.
pub fn is_address(name: &str, written: &str, span: Span, found: &mut Vec<Problem>) -> Option<Url> {
    let url = Url::parse(written.trim());
    // A template in it would be taken for a part of the path.
    let is_plain = !written.contains("{{");
    let url = url.ok().filter(|url| is_plain && matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_none() {
        let help = if written.contains("{{") {
            "an address cannot have a template; give each a receiver of its own, and a route to it"
        } else {
            "write the whole address, such as https://example.com/path"
        };
        found.push(Problem::new(ADDRESS, span, format!("`{name}` is not an address of HTTP")).help(help));
    }
    url
}

/// Templates that cannot be read.
pub fn templates<'a>(
    written: impl IntoIterator<Item = (&'a str, &'a Spanned<String>)>,
    set: &Templates,
    found: &mut Vec<Problem>,
) {
    for (name, text) in written {
        if let Err(why) = Text::compile(&text.value, set) {
            let help = "see the template language of Go, and the data that Alertmanager documents for notifications";
            found.push(Problem::new(TEMPLATE, text.span, format!("`{name}`: {why}")).help(help));
        }
    }
}
