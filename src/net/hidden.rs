//! What no error may repeat: whoever answers may quote the request, with the credentials that were in it, and libraries name
//! addresses whose paths are tokens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

/// A secret shorter than this is not looked for: it would hide words that are none.
const LEAST: usize = 6;

/// Texts that are masked.
#[derive(Default)]
pub struct Hidden(Vec<String>);

impl Hidden {
    /// These.
    pub fn of<T: AsRef<str>>(secrets: impl IntoIterator<Item = T>) -> Self {
        Self::default().and(secrets)
    }

    /// And these too.
    #[must_use]
    pub fn and<T: AsRef<str>>(mut self, secrets: impl IntoIterator<Item = T>) -> Self {
        for secret in secrets {
            let secret = secret.as_ref();
            let decoded = percent_decode_str(secret).decode_utf8_lossy();
            let forms = [secret, &*decoded].into_iter().filter(|form| form.len() >= LEAST);
            self.0.extend(forms.map(str::to_owned));
        }
        // The longest first, should one be part of another.
        self.0.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.0.dedup();
        self
    }

    /// And a login, as it is and as it is sent by HTTP and by SMTP.
    #[must_use]
    pub fn and_login(self, user: &str, password: &str) -> Self {
        let sent = [format!("{user}:{password}"), format!("\0{user}\0{password}"), password.to_owned()];
        self.and(sent.map(|text| STANDARD.encode(text))).and([password])
    }

    /// And what of an address may be secret whoever it leads to: the password, a user without one, which may be a token, and the
    /// query.
    #[must_use]
    pub fn and_of_address(mut self, url: &Url) -> Self {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = decoded(url.username());
        self = match url.password() {
            Some(written) => self.and_login(&user, &decoded(written)).and([written]),
            None if !user.is_empty() => self.and_login(&user, "").and([url.username(), &user]),
            None => self,
        };
        self.and(url.query().into_iter().flat_map(|query| query.split(['&', '='])))
    }

    /// A text without them.
    pub fn mask(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hidden").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_in_every_form_in_which_they_are_sent() {
        let url: Url =
            "https://someone:pass%20phrase@host/a?token=to%2Fken%2Ftoken&short=a".parse().expect("an address");
        let hidden = Hidden::of(["hush-hush", "hush-hush-longer"]).and_of_address(&url).and_login("tw", "passwort");
        for (said, expected) in [
            ("no hush-hush here, nor hush-hush-longer", "no *** here, nor ***"),
            ("pass phrase or pass%20phrase", "*** or ***"),
            ("Basic c29tZW9uZTpwYXNzIHBocmFzZQ==", "Basic ***"),
            ("?token=to%2Fken%2Ftoken or to/ken/token, a", "?token=*** or ***, a"),
            ("AHR3AHBhc3N3b3J0 and cGFzc3dvcnQ=", "*** and ***"),
        ] {
            assert_eq!(hidden.mask(said), expected);
        }
        assert!(!format!("{hidden:?}").contains("hush"));
        let url: Url = "https://token%2Ftoken@host/".parse().expect("an address");
        let said = "token/token, token%2Ftoken, Basic dG9rZW4vdG9rZW46";
        assert_eq!(Hidden::default().and_of_address(&url).mask(said), "***, ***, Basic ***");
    }
}
