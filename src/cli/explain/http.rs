//! A configuration's `tests`, and HTTP both ways: TW070 and TW071.

use super::{Explanation, code};

pub(super) const CODES: &[Explanation] = &[
    code(
        "TW0701",
        "a test is at no transform",
        "`at` of a test names the transform that the input enters and whose output is compared.",
    ),
    code(
        "TW0702",
        "a test's input is two things",
        "A record is either `raw`, a line as the runtime wrote it, or fields such as `body` and `attributes`. Both may \
         have a `resource`.",
    ),
    code(
        "TW0703",
        "a test is at no output",
        "The transform has several outputs, so `at` must say which is compared: `route/teams.shop`.",
    ),
    code(
        "TW0704",
        "two ways to log in to an HTTP server",
        "At most one of `basic_auth`, `authorization`, `oauth2`, `bearer_token` and `bearer_token_file` can be given, as \
         in Prometheus. Keep the one that the server expects.",
    ),
    code(
        "TW0705",
        "a value and a file for the same",
        "A value and the file that it could come from exclude each other: `password` and `password_file`, for example.",
    ),
    code(
        "TW0706",
        "basic authentication has a key of its own",
        "The type of `authorization` cannot be `Basic`. Write `basic_auth: { username: …, password_file: … }`.",
    ),
    code(
        "TW0707",
        "a token cannot be asked for",
        "`oauth2` needs a `client_id` and a `token_url` that begins with http:// or https://.",
    ),
    code(
        "TW0708",
        "a certificate without its key",
        "In `tls_config` a certificate (`cert` or `cert_file`) and its key (`key` or `key_file`) go together.",
    ),
    code(
        "TW0709",
        "there is no such version of TLS",
        "`min_version` and `max_version` are `TLS12` or `TLS13`, and the first is not newer than the second.",
    ),
    code(
        "TW0710",
        "the proxy is not clear",
        "`proxy_url` is http://host:port or https://host:port; it excludes `proxy_from_environment`, and `no_proxy` and \
         `proxy_connect_header` need a proxy.",
    ),
    code(
        "TW0711",
        "this header cannot be given",
        "The name or the value has characters that HTTP forbids, or it is one of the headers that the agent sets itself, \
         such as `Host`, `Content-Type` and `Authorization`.",
    ),
    code(
        "TW0712",
        "this exists in Prometheus and not here",
        "The key, or its value, is right for Prometheus, and this agent cannot do it: SOCKS proxies, TLS 1.0 and 1.1, \
         tokens by signed assertions.",
    ),
    code(
        "TW0713",
        "a secret can be read in the configuration",
        "A warning. In a block in Prometheus's own words a secret may be written inline, as Prometheus allows it. \
         Whoever may read the file knows it: `\"${file:/path}\"` or the key that ends in `_file` keeps it elsewhere.",
    ),
    code(
        "TW0714",
        "a receiver's limit is too small or too large",
        "`max_body` and `max_inflated` are sizes from 1KiB to 1GiB, `max_connections` is a number from 1 to 65536.",
    ),
    code(
        "TW0715",
        "a receiver's login is not clear",
        "`login` is either `bearer_token`, or `username` and `password`.",
    ),
    code(
        "TW0716",
        "certificates are not checked",
        "A warning. `insecure_skip_verify: true`, or `verify: false`, takes whatever certificate a server shows: anybody \
         on the way can read and change what is sent, credentials included. `ca_file` names the authority to trust, also \
         one of your own.",
    ),
];
