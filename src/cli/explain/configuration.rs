//! Files, YAML, references, values, and how components are named and wired: TW00 to TW03.

use super::{Explanation, code};

pub(super) const CODES: &[Explanation] = &[
    code(
        "TW0001",
        "a file or folder cannot be read",
        "The path given with `--config`, or a file of that folder, is missing, is larger than 4 MiB, is not UTF-8, or \
         this user may not read it. Correct the path or the permissions.",
    ),
    code(
        "TW0002",
        "this is not YAML",
        "The file does not follow YAML 1.2. A tab used as indentation, a missing space behind a colon and an open \
         quote are the usual reasons. Nothing else in the file can be checked before this is right, so it is told \
         alone.",
    ),
    code(
        "TW0003",
        "a key is written twice",
        "One mapping has the same key twice. YAML forbids it, and one of the values would be lost. Keep one.",
    ),
    code(
        "TW0004",
        "the configuration is too large",
        "A file nests lists and mappings deeper than 64, stands for more than 200,000 values (aliases counted each \
         time they are used), or a list of steps becomes longer than 10,000 by its fragments. Split it, or use \
         fewer aliases.",
    ),
    code(
        "TW0005",
        "this part of YAML is not supported",
        "A second document in one file, a tag of your own (`!name`), a key that is not plain text, or an alias that \
         stands in its own value. Write it another way.",
    ),
    code(
        "TW0006",
        "a folder holds no configuration",
        "A folder given with `--config` holds no file that ends in .yaml or .yml. Names that begin with a dot do not \
         count.",
    ),
    code(
        "TW0007",
        "one thing is in two files",
        "A component, a fragment or a root key stands in two files of the configuration; the error names both. Keep \
         it in one of them.",
    ),
    code(
        "TW0101",
        "a variable is not set",
        "`${env:NAME}` names a variable that the agent's environment does not have. Set it, or give a default with \
         `${env:NAME:-default}`.",
    ),
    code(
        "TW0102",
        "a file named by a value cannot be read",
        "The file of `${file:/path}` is missing, is larger than 1 MiB, is not UTF-8, or this user may not read it. \
         Mount the file, or correct the path.",
    ),
    code(
        "TW0103",
        "a reference is not complete",
        "`${env:…}` or `${file:…}` has no closing brace, names no variable, or has a path that is not absolute. For \
         the text itself write `$${env:`.",
    ),
    code(
        "TW0104",
        "a secret is written into the configuration",
        "Options that hold secrets take one reference and nothing else: `\"${file:/path}\"` or `\"${env:NAME}\"`. \
         A file is read again when it changes, without a restart.",
    ),
    code(
        "TW0105",
        "a file with a key is not there",
        "A warning. An option such as `routing_key_file` or `smtp_auth_password_file` names a file that cannot be read now. It \
         is read when something is sent, and again when it changes; until it is there nothing can be sent that way.",
    ),
    code(
        "TW0201",
        "a key is not known here",
        "The key is misspelt, indented to the wrong place, or belongs to another component. The error names the \
         nearest known key; the reference lists all.",
    ),
    code(
        "TW0202",
        "a value is of the wrong type",
        "A list stands where a single value is expected, a text where a number is, or a duration or size has no \
         unit. The error says what the option takes.",
    ),
    code("TW0203", "a key is missing", "The option has no default. Write it; the reference says what it takes."),
    code(
        "TW0204",
        "a word is not one of those known here",
        "The option takes one of a few words. The error names the nearest, or all of them.",
    ),
    code(
        "TW0205",
        "a value cannot be used",
        "The value has the right type, but cannot be used as it is. The error says why and what to write instead.",
    ),
    code(
        "TW0301",
        "this is not a component's name",
        "Components are called `type/name`, such as `elasticsearch/logs`. Both parts consist of a-z, 0-9, `_` and \
         `-`.",
    ),
    code(
        "TW0302",
        "there is no such type of component",
        "The part before the slash names no source, transform or sink of this version; sources, transforms and sinks \
         stand under keys of their own.",
    ),
    code(
        "TW0303",
        "a name is used twice",
        "A source, a transform and a sink may not have the same name either. Change the part behind the slash.",
    ),
    code(
        "TW0304",
        "a component has no inputs",
        "A transform or a sink without `inputs` would get no records. Name a source or a transform.",
    ),
    code(
        "TW0305",
        "an input leads nowhere",
        "`inputs` names a component or an output that does not exist, or a pattern that fits none, or a sink, which \
         sends nothing on.",
    ),
    code(
        "TW0306",
        "components feed each other in a circle",
        "Records would never leave. The error shows the circle; take one of the components out of the other's \
         `inputs`.",
    ),
    code(
        "TW0307",
        "a signal does not fit",
        "The input carries logs, metrics or traces that the component cannot take, or inputs carry different \
         signals. Give each signal a component that takes it.",
    ),
    code(
        "TW0308",
        "an output must be named",
        "The component has several outputs, so `inputs` must say which: `route/teams.shop`, or `route/teams.*` for \
         all.",
    ),
    code(
        "TW0309",
        "there is nothing to run",
        "The configuration has neither sources nor sinks. Write at least one of each.",
    ),
    code(
        "TW0310",
        "two parts listen on one port",
        "Only one of them would get it, and the other would never start. An address of all interfaces, such as `0.0.0.0`, \
         takes its port from every other. Give each `listen` a port of its own, or `off` to what is not needed.",
    ),
];
