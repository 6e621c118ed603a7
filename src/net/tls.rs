//! The process's one TLS provider, and the settings of clients that options ask for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once, OnceLock};

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use xxhash_rust::xxh3::xxh3_64;

use crate::options::TlsConfig;
use crate::options::http_client::TlsVersion;
use crate::options::http_server::ServerTls;

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("tls: cannot read {path}: {error}; check the path and the agent's permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file, or text in the configuration, holds no usable PEM.
    #[error("tls: {from} is not usable PEM: {error}")]
    Pem {
        /// The file, or the option.
        from: String,
        /// What the parser said.
        error: String,
    },
    /// A certificate without its key, or the other way round.
    #[error("tls: `cert_file` and `key_file` go together; give both or neither")]
    HalfIdentity,
    /// A certificate and a key that do not belong together, or that cannot be used.
    #[error("tls: the certificate from {from} cannot be used with its key: {error}")]
    Identity {
        /// Where the certificate comes from.
        from: String,
        /// What the library said.
        error: String,
    },
    /// The library refused.
    #[error("tls: {0}")]
    Settings(String),
}

/// Makes ring the provider of cryptography for the process. Every connection of the agent uses it; called
/// by whoever opens one, it takes effect once.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that somebody was faster, with the only provider that is linked.
        let _ = provider().as_ref().clone().install_default();
    });
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())).clone()
}

/// PEM as an option gives it.
pub(super) struct Pem {
    from: String,
    bytes: Vec<u8>,
}

impl Pem {
    /// What is written inline under `option`, or what the file holds; `None` where neither is given.
    pub(super) fn read(option: &str, inline: Option<&str>, file: Option<&Path>) -> Result<Option<Self>, TlsError> {
        if let Some(text) = inline {
            return Ok(Some(Self { from: format!("`{option}`"), bytes: text.as_bytes().to_vec() }));
        }
        file.map(Self::file).transpose()
    }

    fn file(path: &Path) -> Result<Self, TlsError> {
        let bytes = std::fs::read(path).map_err(|error| TlsError::Read { path: path.to_owned(), error })?;
        Ok(Self { from: path.display().to_string(), bytes })
    }

    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        match read {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => Err(self.unusable("it holds no certificate")),
            Err(error) => Err(self.unusable(&error.to_string())),
        }
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|error| match error {
            rustls::pki_types::pem::Error::NoItemsFound => self.unusable("it holds no private key"),
            error => self.unusable(&error.to_string()),
        })
    }

    /// Authorities to trust. One that cannot be used is passed over, as long as another can.
    pub(super) fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(self.certificates()?);
        if added == 0 { Err(self.unusable("it holds no certificate of an authority")) } else { Ok(roots) }
    }

    pub(super) fn unfit(&self, error: &rustls::Error) -> TlsError {
        TlsError::Identity { from: self.from.clone(), error: error.to_string() }
    }

    fn unusable(&self, error: &str) -> TlsError {
        TlsError::Pem { from: self.from.clone(), error: error.to_owned() }
    }
}

/// What a client does in TLS. Reads files.
pub(super) fn client(tls: &TlsConfig) -> Result<ClientConfig, TlsError> {
    install_provider();
    let (oldest, newest) = tls.versions();
    let versions: Vec<_> = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)]
        .into_iter()
        .filter_map(|(version, known)| (oldest <= version && version <= newest).then_some(known))
        .collect();
    let refused = |error: rustls::Error| TlsError::Settings(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&versions).map_err(refused)?;
    let ca = Pem::read("ca", tls.ca.as_deref(), tls.ca_file.as_deref())?;
    let builder = match ca {
        _ if tls.insecure_skip_verify => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider())))
        }
        Some(pem) => builder.with_root_certificates(pem.roots()?),
        None => builder.with_root_certificates(system_roots()),
    };
    identified(builder, tls)
}

fn identified(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    tls: &TlsConfig,
) -> Result<ClientConfig, TlsError> {
    let certificate = Pem::read("cert", tls.cert.as_deref(), tls.cert_file.as_deref())?;
    let key = tls.key.as_ref().map(|key| key.expose());
    let key = Pem::read("key", key.as_deref(), tls.key_file.as_deref())?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(certificate.certificates()?, key.key()?)
            .map_err(|error| certificate.unfit(&error)),
        (None, None) => Ok(builder.with_no_client_auth()),
        _ => Err(TlsError::HalfIdentity),
    }
}

/// What a server does in TLS. Reads files.
pub(super) fn server(tls: &ServerTls) -> Result<ServerConfig, TlsError> {
    install_provider();
    let certificate = Pem::file(&tls.cert_file)?;
    let key = Pem::file(&tls.key_file)?.key()?;
    let refused = |error: rustls::Error| TlsError::Settings(error.to_string());
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(refused)?;
    let builder = match &tls.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(Pem::file(path)?.roots()?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| TlsError::Settings(error.to_string()))?)
        }
    };
    let config = builder.with_single_cert(certificate.certificates()?, key);
    let mut config = config.map_err(|error| certificate.unfit(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A hash of what a server's files hold.
pub(super) fn server_content(tls: &ServerTls) -> u64 {
    let files = [Some(&tls.cert_file), Some(&tls.key_file), tls.client_ca_file.as_ref()];
    hash(files.into_iter().flatten())
}

fn hash<'a>(files: impl Iterator<Item = &'a PathBuf>) -> u64 {
    let hashes = files.flat_map(|path| xxh3_64(&std::fs::read(path).unwrap_or_default()).to_le_bytes());
    xxh3_64(&hashes.collect::<Vec<u8>>())
}

/// The authorities that the system trusts, read once.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::debug!(%error, "a certificate of the system's authorities cannot be read");
            }
            roots.add_parsable_certificates(found.certs);
            Arc::new(roots)
        })
        .clone()
}

/// A hash of what the files hold, by which a change is seen.
pub(super) fn content(tls: &TlsConfig) -> u64 {
    let files = hash([&tls.ca_file, &tls.cert_file, &tls.key_file].into_iter().flatten());
    let key = tls.key.as_ref().map_or(0, |key| xxh3_64(key.expose().as_bytes()));
    xxh3_64(&[files.to_le_bytes(), key.to_le_bytes()].concat())
}

/// Takes whatever certificate a server shows: `insecure_skip_verify`. That the server has its key is still
/// checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
