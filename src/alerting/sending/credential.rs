//! A secret that is given as it is or as the file that holds it, taken as late as possible.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::options::{Secret, Spanned, whole_file};

/// Most bytes of a file that holds a secret.
const MAX_FILE: u64 = 1 << 20;

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
            Self::File(path) => {
                let of = path.clone();
                let read = tokio::task::spawn_blocking(move || whole_file::text(&of, MAX_FILE)).await;
                let why = match read {
                    Ok(Ok(text)) => return Ok(text.trim().into()),
                    Ok(Err(unread)) => unread.to_string(),
                    Err(ended) => ended.to_string(),
                };
                Err(format!("cannot read {}: {why}", path.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_never_ends_or_never_begins_is_told_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let [key, pipe] = ["key", "pipe"].map(|name| folder.path().join(name));
        std::fs::write(&key, " 0123456789\n").expect("written");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
        let read = async |path: &std::path::Path| Credential::File(path.to_owned()).read().await;
        assert_eq!(read(&key).await.as_deref(), Ok("0123456789"));
        let why = read(&pipe).await.expect_err("a pipe");
        assert!(why.ends_with("it is a named pipe, not a file"), "{why}");
        let why = read(std::path::Path::new("/dev/zero")).await.expect_err("without an end");
        assert_eq!(why, "cannot read /dev/zero: it is larger than 1048576 bytes");
    }
}
