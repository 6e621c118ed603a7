//! The graph as a whole: what is unusual in it (TW080), its buffers (TW081), and parts that cannot be prepared (TW09).

use super::{Explanation, code};

pub(super) const CODES: &[Explanation] = &[
    code(
        "TW0801",
        "nothing reads an output",
        "A warning. What this component sends goes nowhere and counts as filtered. Name the output in the `inputs` \
         of a sink or a transform, or leave the component out. Of a source with an output for each signal, such as \
         `otlp`, it is enough that one is read.",
    ),
    code(
        "TW0802",
        "a fragment is not used",
        "A warning. The steps of a fragment are checked where it is used, so mistakes in this one are not found.",
    ),
    code(
        "TW0803",
        "pages show lines that another way redacts",
        "A warning. A `log_metrics` with `log_line` shows records in pages as they are where it reads them. Records of the \
         same source pass a `redact` on the way to somebody else and none on the way to it, so pages may show what that \
         `redact` takes out. Let it read what comes behind the `redact`.",
    ),
    code(
        "TW0811",
        "only a sink can have a disk queue",
        "`buffer.disk` was given to a transform. What a transform holds is settled with what it sends on, so a queue \
         before it would only delay. Give the disk queue to the sinks behind it.",
    ),
    code(
        "TW0812",
        "a disk queue is too small",
        "`buffer.disk` is below 16 MiB, which holds less than the memory before it. Write a size that holds the outage \
         that you want to survive: what comes in a second, compressed about to a fourth, times its seconds.",
    ),
    code(
        "TW0813",
        "`fsync` is out of its range",
        "`buffer.fsync` says for how long a record may wait in the disk queue before it is forced to stable storage, and \
         so for how long its source waits: from 1ms to 10s, or `always`.",
    ),
    code(
        "TW0821",
        "the agent's own traces have nowhere to go",
        "`telemetry.otlp.endpoint` is missing or is no address. Write that of a receiver of OTLP over HTTP as it stands \
         before `/v1/traces`, such as http://collector:4318, or leave `otlp` out.",
    ),
    code(
        "TW0822",
        "a limit of the agent's own traces makes no sense",
        "`telemetry.otlp.sample_ratio` is a share from 0 to 1, and `timeout` is from 100ms to 1m.",
    ),
    code(
        "TW0901",
        "a component cannot be prepared",
        "The configuration is well-formed, but a part cannot be built from it here: a certificate cannot be read, for \
         example. The error says which part, why and what to do.",
    ),
];
