//! What requests carry that nobody else is to see: an answer may repeat it, and whoever quotes the answer leaves it out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;

use super::HttpClient;

impl HttpClient {
    /// The credentials and the further headers of requests as they are now, each in the forms that an answer may repeat it in.
    pub fn secrets(&self) -> Vec<String> {
        let Some(state) = self.0.state.load_full() else { return Vec::new() };
        let mut secrets = vec![state.client_secret.to_string()];
        let token = self.0.oauth2.as_ref().and_then(|oauth2| oauth2.known());
        for login in state.login.iter().chain(&token) {
            secrets.extend(in_login(login));
        }
        let headers = state.headers.values().chain(state.secret_headers.values());
        secrets.extend(headers.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok()).map(str::to_owned));
        secrets
    }
}

/// What follows the scheme; of basic authentication also what it says.
fn in_login(login: &HeaderValue) -> Vec<String> {
    let Some((scheme, credentials)) = login.to_str().ok().and_then(|login| login.split_once(' ')) else {
        return Vec::new();
    };
    let mut secrets = vec![credentials.to_owned()];
    if scheme == "Basic"
        && let Some(said) = STANDARD.decode(credentials).ok().and_then(|said| String::from_utf8(said).ok())
    {
        secrets.extend(said.split_once(':').map(|(_, password)| password.to_owned()));
        secrets.push(said);
    }
    secrets
}
