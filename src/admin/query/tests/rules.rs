//! What is told of rules and alerts, and by what they are chosen.

use super::*;

#[tokio::test]
async fn rules_and_alerts_are_told_as_prometheus_tells_them() {
    let alert = json!({
        "labels": { "alertname": "Down" }, "annotations": {}, "state": "firing", "activeAt": "1970-01-01T00:04:00Z",
        "value": "0e+00"
    });
    assert_eq!(data("/api/v1/alerts").await, json!({ "alerts": [alert] }));
    let both = data("/api/v1/rules").await;
    assert_eq!(
        both["groups"][0],
        json!({
            "name": "pages", "file": "rules.yaml", "interval": 15, "limit": 0, "evaluationTime": 0.5,
            "lastEvaluation": "0001-01-01T00:00:00Z",
            "rules": [{
                "type": "alerting", "state": "firing", "name": "Down", "query": "up == 0", "duration": 60,
                "keepFiringFor": 0, "labels": { "team": "web" }, "annotations": {}, "alerts": [alert], "health": "ok",
                "evaluationTime": 0.25, "lastEvaluation": "1970-01-01T00:05:00Z"
            }]
        })
    );
    assert_eq!(both["groups"][1]["rules"][0]["type"], "recording");
    for (query, groups) in [
        ("type=alert", json!(["pages"])),
        ("type=record", json!(["records"])),
        ("rule_name[]=Down&rule_name[]=x", json!(["pages"])),
        ("rule_group[]=records", json!(["records"])),
        ("file[]=other.yaml", json!([])),
        ("match[]=%7Bteam=%22web%22%7D", json!(["pages"])),
    ] {
        let told = data(&format!("/api/v1/rules?{query}")).await;
        let names: Vec<_> =
            told["groups"].as_array().expect("a list").iter().map(|group| group["name"].clone()).collect();
        assert_eq!(json!(names), groups, "{query}");
    }
    assert_eq!(data("/api/v1/rules?exclude_alerts=true").await["groups"][0]["rules"][0]["alerts"], Value::Null);
    let first = data("/api/v1/rules?group_limit=1").await;
    assert_eq!((first["groups"].as_array().map(Vec::len), &first["groups"][0]["name"]), (Some(1), &json!("pages")));
    let token = first["groupNextToken"].as_str().expect("there is more");
    let second = data(&format!("/api/v1/rules?group_limit=1&group_next_token={token}")).await;
    assert_eq!((&second["groups"][0]["name"], &second["groupNextToken"]), (&json!("records"), &Value::Null));
    let unknown = "invalid parameter \"type\": not supported value \"x\"";
    assert_eq!(fault("/api/v1/rules?type=x").await, (400, "bad_data".to_owned(), unknown.to_owned()));
}
