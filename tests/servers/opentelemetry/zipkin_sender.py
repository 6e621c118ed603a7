"""Sends traces with py_zipkin and prints each span that was sent as a line of JSON, in the words of OTLP."""

import json
import sys

from py_zipkin import Encoding
from py_zipkin.transport import SimpleHTTPTransport
from py_zipkin.zipkin import zipkin_client_span, zipkin_server_span

encoding, port, service = sys.argv[1:4]
encoding = {"v1_json": Encoding.V1_JSON, "v2_json": Encoding.V2_JSON, "v2_proto3": Encoding.V2_PROTO3}[encoding]
taken = []


class Transport(SimpleHTTPTransport):
    def send(self, payload):
        super().send(payload)  # raises unless the answer is 202; py_zipkin logs that and goes on
        taken.append(payload)


def text(value):
    return {"stringValue": value}


def tell(attrs, **said):
    ids = {"traceId": attrs.trace_id.zfill(32), "spanId": attrs.span_id, "parentSpanId": attrs.parent_span_id or ""}
    sent.append({**ids, "service": service, **said})


sent = []
at = 1764380000.25  # such fractions are exact
local = {"network.local.address": text("10.1.2.3"), "network.local.port": {"intValue": "8080"}}
transport = Transport("127.0.0.1", int(port))
for wide in (False, True):
    with zipkin_server_span(
        service_name=service,
        span_name="get /cart",
        transport_handler=transport,
        encoding=encoding,
        sample_rate=100.0,
        use_128bit_trace_id=wide,
        host="10.1.2.3",
        port=8080,
        binary_annotations={"http.path": "/größe \"quoted\""},
    ) as root:
        root.add_annotation("cache.miss", at)
        with zipkin_client_span(
            service_name=service,
            span_name="insert",
            timestamp=at,
            duration=0.125,
            binary_annotations={"error": "no such table", "rows": "3"},
        ) as child:
            child.add_sa_binary_annotation(port=5432, service_name="orders-db", host="10.1.2.9")
        root_attrs, child_attrs = root.zipkin_attrs, child.zipkin_attrs
    tell(
        root_attrs,
        name="get /cart",
        kind=2,
        attributes={"http.path": text("/größe \"quoted\""), **local},
        events=[["cache.miss", "1764380000250000000"]],
        status=[0, ""],
    )
    tell(
        child_attrs,
        name="insert",
        kind=3,
        times=["1764380000250000000", "1764380000375000000"],
        attributes={
            "rows": text("3"),
            "peer.service": text("orders-db"),
            "network.peer.address": text("10.1.2.9"),
            "network.peer.port": {"intValue": "5432"},
            **local,
        },
        events=[],
        status=[2, "no such table"],
    )

if len(taken) != 2:
    sys.exit(f"{len(taken)} of 2 requests were taken")
for span in sent:
    print(json.dumps(span))
