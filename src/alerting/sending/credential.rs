//! A secret that is given as it is or as the file that holds it, taken as late as possible.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::options::{Secret, Spanned};

/// How often the file of a `${file:}` is looked at for a change, where it is needed.
const REREAD_EVERY: Duration = Duration::from_secs(10);

/// A secret of a receiver.
#[derive(Clone, Debug)]
pub enum Credential {
    /// As it is, or from a `${file:}` or `${env:}`.
    Given(Secret),
    /// From a file that may come later, and change: `routing_key_file`.
    File(PathBuf),
}

impl Credential {
    /// Whichever of the two options is given.
    pub fn of(given: Option<&Spanned<Secret>>, file: Option<&Spanned<PathBuf>>) -> Option<Self> {
        let given = given.map(|secret| Self::Given(secret.value.clone()));
        given.or_else(|| file.map(|path| Self::File(path.value.clone())))
    }

    /// Its file is not read again, should the secret be from a `${file:}`.
    pub fn freeze(&self) {
        if let Self::Given(secret) = self {
            secret.freeze();
        }
    }

    /// The secret as it is now, without what surrounds it.
    ///
    /// # Errors
    /// Where its file cannot be read: says which.
    pub async fn read(&self) -> Result<Arc<str>, String> {
        match self {
            Self::Given(secret) => {
                if secret.is_older(REREAD_EVERY) {
                    let (again, path) = (secret.clone(), secret.file().map(PathBuf::from).unwrap_or_default());
                    let read = tokio::task::spawn_blocking(move || again.reread()).await;
                    // What it held before stays in force.
                    if let Ok(Err(error)) = read {
                        tracing::warn!(%error, path = %path.display(), "the file of a receiver's secret cannot be read again");
                    }
                }
                let value = secret.expose();
                Ok(if value.trim().len() == value.len() { value } else { value.trim().into() })
            }
            Self::File(path) => match tokio::fs::read_to_string(path).await {
                Ok(text) => Ok(text.trim().into()),
                Err(error) => Err(format!("cannot read {}: {error}", path.display())),
            },
        }
    }
}
