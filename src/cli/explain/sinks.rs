//! Options of sinks: TW06.

use super::{Explanation, code};

pub(super) const CODES: &[Explanation] = &[
    code("TW0601", "the sink `file` has no path", "`path` is empty. Name the file to write."),
    code("TW0602", "a file would be rotated too often", "`max_size` of the sink `file` is below 4KiB."),
    code("TW0603", "no file would be kept", "`max_files` of the sink `file` is 0."),
    code("TW0611", "no endpoint is named", "`endpoints` of the sink `elasticsearch` is empty."),
    code(
        "TW0612",
        "this is not an address",
        "An endpoint has a scheme (http or https), a host and perhaps a port and a path; credentials, a query or a \
         fragment do not belong into it.",
    ),
    code(
        "TW0613",
        "an index and a data stream exclude each other",
        "Documents go either to `index` or to `data_stream`. Keep one.",
    ),
    code(
        "TW0614",
        "Elasticsearch takes no such index",
        "Names of indices are lower case, at most 255 bytes, do not begin with `-`, `_` or `+`, and have no blanks or \
         wildcards.",
    ),
    code(
        "TW0615",
        "Elasticsearch takes no such data stream",
        "`dataset` and `namespace` follow the rules for indices and have no `-`, which separates them.",
    ),
    code("TW0616", "there is no such level of compression", "gzip has the levels 1 (fastest) to 9 (smallest)."),
    code(
        "TW0617",
        "two ways to log in",
        "`api_key` and `basic` exclude each other. Keep the one that the cluster expects.",
    ),
    code("TW0618", "this is not a header", "The name or the value of a header has characters that HTTP forbids."),
    code("TW0619", "requests would be too small or too large", "`batch.max_bytes` is a size from 64KiB to 64MiB."),
    code("TW0620", "no answer could be that fast", "`timeout` of a request is at least 100ms."),
    code("TW0621", "too few or too many requests at once", "`concurrency` is a number from 1 to 64."),
    code(
        "TW0622",
        "a certificate without its key",
        "`tls.cert_file` and `tls.key_file` go together. Give both, or neither.",
    ),
    code(
        "TW0623",
        "the input is not what the data stream is for",
        "`data_stream.type` of the sink `elasticsearch` is `logs` for log records and `traces` for spans. Left out, it is \
         what the input is.",
    ),
    code(
        "TW0624",
        "spans have one layout",
        "The sink `elasticsearch` writes spans with OpenTelemetry's field names, `mapping: otel`.",
    ),
    code(
        "TW0640",
        "this is not an address",
        "`url` of the sink `prometheus_remote_write` has a scheme (http or https), a host and the receiver's path, such \
         as http://prometheus:9090/api/v1/write.",
    ),
    code(
        "TW0641",
        "this header cannot be given",
        "The name or the value of a header has characters that HTTP forbids, or the header is one that the sink sets \
         itself. Credentials have options of their own.",
    ),
    code("TW0642", "requests would be too small or too large", "`batch.max_bytes` is a size from 16KiB to 64MiB."),
    code("TW0643", "no answer could be that fast", "`timeout` of a request is at least 100ms."),
    code(
        "TW0644",
        "this is no number of shards",
        "`shards.min` and `shards.max` are powers of two from 1 to 64, so that each shard splits into two when their \
         number doubles; `min` is not above `max`.",
    ),
    code(
        "TW0650",
        "there is no receiver",
        "The sinks `otlp` and `jaeger` want `endpoint`, or several `endpoints`, and not both.",
    ),
    code(
        "TW0651",
        "this is no address of a receiver",
        "Write http://HOST:PORT or https://HOST:PORT; the sink adds the path itself.",
    ),
    code(
        "TW0652",
        "requests would be too small, too slow or too many",
        "`batch.max_bytes` is a size from 1KiB to 1GiB, `timeout` from 100ms to 10m, `resolve_interval` from \
         1s to 1h, `concurrency` from 1 to 64.",
    ),
    code(
        "TW0660",
        "this is no address of a receiver",
        "`endpoint` of the sink `zipkin` is the whole address, with the path, such as http://zipkin:9411/api/v2/spans.",
    ),
    code(
        "TW0661",
        "requests would be too small, too slow or too many",
        "`batch.max_bytes` is a size from 1KiB to 1GiB, `timeout` from 100ms to 10m, `concurrency` from 1 to 64.",
    ),
    code("TW0670", "nothing would be exposed", "`expiry` and `limit` of the sink `prometheus_exposition` are above 0."),
];
