//! Requests of anything that a request can have.

use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValue, KeyValueList};

use super::*;

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        "[a-zé\n\"]{0,12}".prop_map(ProtoValue::StringValue),
        any::<bool>().prop_map(ProtoValue::BoolValue),
        any::<i64>().prop_map(ProtoValue::IntValue),
        (-1e9..1e9).prop_map(ProtoValue::DoubleValue),
        proptest::collection::vec(any::<u8>(), 0..8).prop_map(ProtoValue::BytesValue),
    ];
    let leaf = prop_oneof![Just(None), leaf.prop_map(Some)].prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3)
                .prop_map(|values| AnyValue { value: Some(ProtoValue::ArrayValue(ArrayValue { values })) }),
            proptest::collection::vec(("[a-z]{0,4}", inner), 0..3).prop_map(|values| AnyValue {
                value: Some(ProtoValue::KvlistValue(KeyValueList {
                    values: values.into_iter().map(|(key, value)| pair(key, value)).collect()
                }))
            }),
        ]
    })
}

pub(super) fn pair(key: String, value: AnyValue) -> KeyValue {
    KeyValue { key, value: Some(value), ..KeyValue::default() }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let pair = ("[a-z.]{0,20}", value()).prop_map(|(key, value)| pair(key, value));
    proptest::collection::vec(pair, 0..5)
}

prop_compose! {
    fn span()(
        ids in (1_u128.., 1_u64.., any::<u64>()),
        name in ".{0,20}",
        state in "[a-z=,]{0,12}",
        kind in 0..6,
        times in (any::<u64>(), any::<u64>()),
        attributes in attributes(),
        others in (0_u32..3, 0_u32..3, any::<u32>()),
        status in prop_oneof![Just(None), (0..3, ".{0,6}").prop_map(|(code, message)| Some(Status { message, code }))],
        event in attributes(),
        link in attributes(),
    ) -> Span {
        Span {
            trace_id: ids.0.to_be_bytes().to_vec(),
            span_id: ids.1.to_be_bytes().to_vec(),
            parent_span_id: if ids.2 % 2 == 0 { Vec::new() } else { ids.2.to_be_bytes().to_vec() },
            trace_state: state,
            name,
            kind,
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.1,
            attributes,
            dropped_attributes_count: others.0,
            dropped_events_count: others.1,
            dropped_links_count: others.0,
            flags: others.2,
            status,
            events: vec![Event { time_unix_nano: times.0, name: "e".into(), attributes: event, dropped_attributes_count: 1 }],
            links: vec![Link {
                trace_id: vec![7; 16],
                span_id: vec![8; 8],
                attributes: link,
                flags: 1,
                ..Link::default()
            }],
        }
    }
}

prop_compose! {
    fn scope_spans()(spans in proptest::collection::vec(span(), 0..4), name in "[a-z]{0,9}", with in any::<bool>(), attributes in attributes())
        -> ScopeSpans
    {
        let scope = InstrumentationScope { name, version: "1".into(), attributes, dropped_attributes_count: 0 };
        ScopeSpans { scope: with.then_some(scope), spans, schema_url: if with { "https://x/1.2".into() } else { String::new() } }
    }
}

prop_compose! {
    pub(super) fn request()(resources in proptest::collection::vec(
        (attributes(), proptest::collection::vec(scope_spans(), 0..3), any::<bool>()), 0..4)
    ) -> ExportTraceServiceRequest {
        let resource_spans = resources.into_iter().map(|(attributes, scope_spans, with)| ResourceSpans {
            resource: with.then(|| Resource { attributes, ..Resource::default() }),
            scope_spans,
            schema_url: if with { "https://r/1".into() } else { String::new() },
        });
        ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
    }
}
