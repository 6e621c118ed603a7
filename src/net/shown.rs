//! How an address is shown in logs, errors and on the status page.

use url::Url;

/// The address without what may be secret in it: user, password, query and fragment; and without the slash that ends it.
pub fn shown(url: &Url) -> String {
    let mut url = without_user(url);
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// The address without user and password.
pub fn without_user(url: &Url) -> Url {
    let mut url = url.clone();
    // Only an address without a host refuses, and that has no user.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_an_address_are_not_shown() {
        for (url, expected) in [
            ("https://user:word@host:9200/es/?token=t#part", "https://host:9200/es"),
            ("https://user@host/", "https://host"),
            ("http://[::1]:9090/a?b", "http://[::1]:9090/a"),
            ("https://:word@host/a/b", "https://host/a/b"),
        ] {
            assert_eq!(shown(&url.parse().expect("an address")), expected);
        }
        let url = "https://user:word@host/a?b=c".parse().expect("an address");
        assert_eq!(without_user(&url).as_str(), "https://host/a?b=c");
    }
}
