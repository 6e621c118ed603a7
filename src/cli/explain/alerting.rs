//! Alerts: their routes and receivers, TW10.

use super::{Explanation, code};

pub(super) const CODES: &[Explanation] = &[
    code(
        "TW1001",
        "alerts have no way to anybody",
        "`route` is missing, or its root names no `receiver`. Every alert enters the root, and what no route below takes is \
         told to its receiver.",
    ),
    code(
        "TW1002",
        "the root route is choosy",
        "The root of the tree of routes takes every alert at any time: it can have no matchers and no time intervals, and \
         nothing stands behind it that `continue` could go on to. Move them to a route in its `routes`.",
    ),
    code("TW1003", "there is no such receiver", "A route names a `receiver` that is not in `receivers`."),
    code(
        "TW1004",
        "this is no matcher",
        "Matchers have the form `name=\"value\"` with one of `=`, `!=`, `=~` and `!~`, where the value of the last two is a \
         regular expression that has to match as a whole. Several may stand in one text, separated by commas. In YAML put \
         the text into single quotes, so that its double quotes and backslashes stay.",
    ),
    code(
        "TW1005",
        "alerts cannot be grouped so",
        "`group_by` is a list of names of labels, each once, or `['...']` alone, which puts every alert into a group of its \
         own.",
    ),
    code("TW1006", "a group would be told all the time", "`group_interval` and `repeat_interval` are more than 0."),
    code(
        "TW1007",
        "there is no such time interval",
        "A route names an interval in `mute_time_intervals` or `active_time_intervals` that is not in `time_intervals`.",
    ),
    code(
        "TW1008",
        "a time interval has no name of its own",
        "Each of `time_intervals` has a name, and no two the same.",
    ),
    code(
        "TW1009",
        "this is no range of time",
        "Times of the day are written `09:00`, up to `24:00`, and a range ends behind its beginning: write two for one over \
         midnight. Days of the week and months are written by their English names, and ranges of all as `first:last`. Days \
         of the month count from 1, or from -1 backwards from its end.",
    ),
    code(
        "TW1010",
        "there is no such time zone",
        "`location` is a name of the IANA database, such as Europe/Berlin. The database is the machine's: a container needs \
         the package `tzdata`.",
    ),
    code(
        "TW1011",
        "no label is called so",
        "A label needs a name. In the older keys `match`, `match_re` and their like names consist of ASCII letters, digits \
         and underscores; write others in `matchers`, in double quotes.",
    ),
    code(
        "TW1012",
        "a group is repeated later than written",
        "A warning. A group is looked at every `group_interval` and repeated at the first look behind `repeat_interval`, so \
         a shorter `repeat_interval` does nothing more. Write a multiple of `group_interval`.",
    ),
    code(
        "TW1013",
        "the outbox has limits that make no sense",
        "`concurrency` is from 1 to 64, `timeout` from 100ms to 5m, and `max_bytes` at least 1MiB.",
    ),
];
