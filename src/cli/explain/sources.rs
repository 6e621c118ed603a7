//! Options of sources that have no part of their own: TW05.

use super::{Explanation, code};

pub(super) const CODES: &[Explanation] = &[
    code(
        "TW0501",
        "records would be too short or too long",
        "`max_record_size` of a source is a size from 1KiB to 16MiB.",
    ),
    code(
        "TW0511",
        "this is no pattern of files",
        "`include` and `exclude` of the source `file` take absolute paths with `*`, `?`, `**`, `[a-z]` and `{a,b}`, and \
         `include` at least one.",
    ),
    code(
        "TW0512",
        "this is no pattern of names",
        "Lists of namespaces, pods and containers take names, and patterns with `*`, `?`, `[a-z]` and `{a,b}`.",
    ),
    code(
        "TW0540",
        "this is no path",
        "`path` of the source `prometheus_remote_write` begins with a slash and has no query: `/api/v1/write`.",
    ),
    code(
        "TW0541",
        "answers would come too soon or too late",
        "`answer_within` of the source `prometheus_remote_write` is a time from 100ms to 5m, below the timeout of those \
         that send.",
    ),
    code(
        "TW0542",
        "series would have too few or too many labels",
        "`max_labels` of the source `prometheus_remote_write` is a number from 2 to 10000.",
    ),
    code("TW0560", "the pace of `internal` makes no sense", "`interval` of the source `internal` is at least 1s."),
];
