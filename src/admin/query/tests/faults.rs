//! Each way in which a request can be wrong, and what it is told.

use super::*;

#[tokio::test]
async fn what_is_wrong_is_told_in_prometheus_s_words() {
    for (path, status, kind, message) in [
        (
            "query?query=up&time=x",
            400,
            "bad_data",
            "invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp",
        ),
        (
            "query?query=up&limit=x",
            400,
            "bad_data",
            "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        (
            "query?query=up&timeout=x",
            400,
            "bad_data",
            "invalid parameter \"timeout\": cannot parse \"x\" to a valid duration",
        ),
        (
            "query?query=up&timeout=0s",
            400,
            "bad_data",
            "invalid parameter \"timeout\": timeout must be positive, got 0s",
        ),
        (
            "query?query=up&timeout=-1",
            400,
            "bad_data",
            "invalid parameter \"timeout\": timeout must be positive, got -1",
        ),
        ("query?query=up&timeout=0.000000001", 503, "timeout", "query timed out in expression evaluation"),
        (
            "query_range?query=up&end=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"start\": cannot parse \"\" to a valid timestamp",
        ),
        (
            "query_range?query=up&start=2&end=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"end\": end timestamp must not be before start time",
        ),
        (
            "query_range?query=up&start=0&end=1&step=0",
            400,
            "bad_data",
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
        ),
        (
            "query_range?query=up&start=0&end=11001&step=1",
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "query?query=up%20*%20on()%20up",
            422,
            "execution",
            "found duplicate series for the match group {} on the right hand-side of the operation: [{__name__=\"up\", \
             instance=\"a\", job=\"web\"}, {__name__=\"up\", instance=\"b\", job=\"web\"}];many-to-many matching not allowed: \
             matching labels must be unique on one side",
        ),
        ("series", 400, "bad_data", "no match[] parameter provided"),
        (
            "series?match[]={a=\"\"}",
            400,
            "bad_data",
            "invalid parameter \"match[]\": match[] must contain at least one non-empty matcher",
        ),
        ("labels?match[]={a=\"\"}", 400, "bad_data", "match[] must contain at least one non-empty matcher"),
        (
            "query",
            400,
            "bad_data",
            "invalid parameter \"query\": unknown position: parse error: no expression found in input",
        ),
        (
            "query_range?query=up[1m]&start=0&end=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar or instant \
             Vector",
        ),
        ("nothing", 404, "not_found", "there is no /api/v1/nothing here"),
        (
            "rules?exclude_alerts=x",
            400,
            "bad_data",
            "invalid parameter \"exclude_alerts\": error converting exclude_alerts: strconv.ParseBool: parsing \"x\": invalid \
             syntax",
        ),
        (
            "rules?group_limit=x",
            400,
            "bad_data",
            "invalid parameter \"group_limit\": group_limit needs to be a valid number: strconv.ParseInt: parsing \"x\": \
             invalid syntax",
        ),
        (
            "rules?group_next_token=x",
            400,
            "bad_data",
            "invalid parameter \"group_next_token\": group_limit needs to be present in order to paginate over the groups",
        ),
        ("query_exemplars?query=up&start=2&end=1", 400, "bad_data", "end timestamp must not be before start timestamp"),
        ("metadata?limit=x", 400, "bad_data", "limit must be a number"),
    ] {
        let path = format!("/api/v1/{path}").replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
        assert_eq!(fault(&path).await, (status, kind.to_owned(), message.to_owned()), "{path}");
    }
    let (status, kind, message) = fault("/api/v1/query?query=up%20%2B").await;
    assert_eq!((status, kind.as_str()), (400, "bad_data"));
    assert!(message.starts_with("invalid parameter \"query\": 1:5: parse error: "), "{message}");
}

#[tokio::test]
async fn the_patterns_of_a_request_hold_no_more_than_they_may() {
    let heavy = "match[]=%7Ba%3D~%22%5C%5CpL%7B20%7D%22%7D&";
    assert_eq!(data(&format!("/api/v1/series?{}", heavy.repeat(10))).await, json!([]));
    let one = format!("query=%7B{}%7D", "a%3D~%22%5C%5CpL%7B20%7D%22,".repeat(500));
    for path in [format!("/api/v1/series?{}", heavy.repeat(500)), format!("/api/v1/query?{one}")] {
        let (status, kind, why) = fault(&path).await;
        assert_eq!((status, &*kind), (400, "bad_data"));
        assert!(why.contains("take more than 64 MiB; write fewer or simpler ones"), "{}", &why[..200]);
    }
}
