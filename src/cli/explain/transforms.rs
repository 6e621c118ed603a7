//! Expressions, steps, routes and `log_metrics`: TW04.

use super::{Explanation, code};

pub(super) const CODES: &[Explanation] = &[
    code(
        "TW0401",
        "an expression is wrong",
        "A condition, a field, an assignment or a regular expression cannot be read, or does not fit the signal. The \
         caret stands under the character that is meant.",
    ),
    code(
        "TW0402",
        "fragments use each other in a circle",
        "The list of steps would never end. The error shows the circle.",
    ),
    code(
        "TW0403",
        "`use` is written wrongly",
        "`use` takes the name of a fragment and stands alone in its entry; an `if:` belongs to the steps of the \
         fragment.",
    ),
    code(
        "TW0404",
        "there is no such fragment",
        "`use` names a fragment that is not under `fragments`. The error names the nearest.",
    ),
    code(
        "TW0411",
        "a route cannot be",
        "`route` needs 1 to 64 routes, each with a name of its own in lower-case letters, digits, `_` and `-`. \
         `unmatched` is taken: it is the output of what no route takes.",
    ),
    code(
        "TW0440",
        "a step does not exist for this signal",
        "`parse_json` and `parse_regex` are for logs; `hash`, `truncate` and `sample` are for traces; `redact` is for \
         both. Steps on metrics are `set`, `rename` and `delete` for the name and labels, `keep` and `drop` for \
         samples.",
    ),
    code(
        "TW0441",
        "an edit of a series depends on a value",
        "What a series is called cannot change with its value: it would be another series from sample to sample. The \
         `if:` of `set`, `rename` and `delete` asks for `name`, labels and the resource; `keep` and `drop` may ask for \
         `value` too.",
    ),
    code(
        "TW0442",
        "an edit of a resource depends on a span",
        "A resource is one for all its spans. Steps that edit `resource[\"key\"]` take their values from constants or \
         the resource, their `if:` asks for the resource alone, and `rename` moves nothing between a span and its \
         resource.",
    ),
    code(
        "TW0450",
        "a name of a metric or a label made of logs is wrong",
        "Names follow Prometheus's conventions: letters, digits and `_` (and `:` in metrics), not a digit first. A \
         counter ends in `_total` and nothing else does; labels that begin with `__`, and `le` of histograms, are \
         taken.",
    ),
    code(
        "TW0451",
        "a metric made of logs is described wrongly",
        "Every metric has a name of its own. Gauges and histograms need a `value`; a `unit` is a suffix of the name; \
         `buckets` are ascending numbers and belong to histograms. A `log_line` needs `enabled: true` beside it.",
    ),
    code(
        "TW0452",
        "a pace or a limit of `log_metrics` makes no sense",
        "`interval` is at least 1s, `expiry` at least `interval`, `limit` at least 1. A series has 1 to 100 exemplars.",
    ),
    code(
        "TW0460",
        "a time or a limit of `tail_sampling` makes no sense",
        "`decision_wait` and `root_wait` are times from 10ms to 1h; `max_bytes` is at least 1MiB.",
    ),
    code(
        "TW0461",
        "a policy of `tail_sampling` is wrong",
        "Each has a `type` and, under the key of that name, what it needs; at least one is there. They are those of the \
         OpenTelemetry Collector's processor of this name.",
    ),
    code(
        "TW0470",
        "a pace, a limit or a histogram of `span_metrics` makes no sense",
        "`interval` is at least 1s, `expiry` at least `interval`, `limit` at least 1. A histogram is `explicit` with 1 to \
         200 ascending `buckets`, or `exponential` with a `max_size` from 2 to 1024. A series has 1 to 100 exemplars.",
    ),
    code(
        "TW0471",
        "a name that `span_metrics` would make is wrong",
        "`namespace` is letters, digits, `_` and `:`, not a digit first. Each dimension names an attribute; `.` and all \
         else that labels cannot have become `_`, and no two labels may be called the same. `le`, `overflow` and what \
         begins with `__` are taken.",
    ),
    code(
        "TW0475",
        "a time, a limit or a histogram of `service_graph` makes no sense",
        "`interval` is at least 1s, `expiry` at least `interval`, `limit` at least 1; `wait` is a time from 10ms to 10m, \
         `max_bytes` from 64KiB to 16GiB. A histogram is `explicit` with 1 to 200 ascending `buckets`, or `exponential` \
         with a `max_size` from 2 to 1024.",
    ),
    code(
        "TW0476",
        "a dimension of `service_graph` is wrong",
        "Each names an attribute, which becomes the labels `client_NAME` and `server_NAME`; `.` and all else that labels \
         cannot have become `_`, and no two may be called the same.",
    ),
];
