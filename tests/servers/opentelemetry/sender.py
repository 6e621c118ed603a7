"""Sends traces with OpenTelemetry's SDK and prints each span that was sent as a line of JSON."""

import json
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

protocol, endpoint, service, traces = sys.argv[1:5]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint=endpoint + "/v1/traces")

results = []
export = exporter.export


def watched(spans):
    result = export(spans)
    results.append(result)
    return result


exporter.export = watched
provider = TracerProvider(resource=Resource.create({"service.name": service, "pods": ["a", "b"]}))
provider.add_span_processor(BatchSpanProcessor(exporter))
tracer = provider.get_tracer("sender", "1.0")

sent = []


def tell(span):
    context = span.get_span_context()
    sent.append(
        {
            "traceId": format(context.trace_id, "032x"),
            "spanId": format(context.span_id, "016x"),
            "parentSpanId": format(span.parent.span_id, "016x") if span.parent else "",
            "name": span.name,
            "start": str(span.start_time),
            "end": str(span.end_time),
            "attributes": len(span.attributes),
            "events": len(span.events),
            "links": len(span.links),
        }
    )


for number in range(int(traces)):
    with tracer.start_as_current_span("request", kind=SpanKind.SERVER) as root:
        root.set_attributes({"number": number, "ratio": number / 3, "ok": True, "text": "größe", "list": [1, 2, 3]})
        root.add_event("began", {"n": number})
        with tracer.start_as_current_span(
            "query", kind=SpanKind.CLIENT, links=[Link(root.get_span_context(), {"why": "test"})]
        ) as child:
            child.set_status(Status(StatusCode.ERROR, "no such table"))
            child.record_exception(ValueError("broken"))
    tell(child)
    tell(root)

provider.shutdown()
if not results or any(result != SpanExportResult.SUCCESS for result in results):
    sys.exit(f"not taken: {results}")
for span in sent:
    print(json.dumps(span))
