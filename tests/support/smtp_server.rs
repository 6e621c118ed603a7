//! A mail server on loopback (RFC 5321, STARTTLS of RFC 3207, AUTH of RFC 4954): it keeps the order of commands, takes mail
//! into memory, and answers any command as a test says.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// How TLS comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    None,
    /// When the client asks for it.
    Upgraded,
    /// With the connection.
    Implicit,
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub struct Mail {
    /// How the client named itself.
    pub hello: String,
    /// Whom it is from.
    pub from: String,
    /// Whom it is for.
    pub to: Vec<String>,
    /// User and password, where somebody logged in.
    pub login: Option<(String, String)>,
    /// Whether it came through TLS.
    pub encrypted: bool,
    /// The mail, without the doubled dots.
    pub text: String,
}

/// A running server.
#[derive(Clone)]
pub struct SmtpServer {
    address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
}

#[derive(Default)]
struct Desk {
    mails: Vec<Mail>,
    connections: usize,
    /// The beginning of a command, and what the next such command is answered with; once each.
    answers: Vec<(String, Option<String>)>,
}

/// What the server offers.
#[derive(Clone)]
struct Offer {
    tls: Tls,
    acceptor: Option<TlsAcceptor>,
    mechanism: Option<&'static str>,
}

impl SmtpServer {
    /// A server that logs in by `mechanism`, or nobody; `identity` are the files of its certificate and key.
    pub async fn start(
        tls: Tls,
        identity: Option<(&std::path::Path, &std::path::Path)>,
        mechanism: Option<&'static str>,
    ) -> Self {
        let acceptor = identity.map(|(certificate, key)| {
            let certificate = CertificateDer::from_pem_file(certificate).expect("written");
            let key = PrivateKeyDer::from_pem_file(key).expect("written");
            let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
            TlsAcceptor::from(Arc::new(config.expect("a pair")))
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = Self { address, desk: Arc::default() };
        let (desk, offer) = (server.desk.clone(), Offer { tls, acceptor, mechanism });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                desk.lock().expect("no panic").connections += 1;
                tokio::spawn(serve(stream, desk.clone(), offer.clone()));
            }
        });
        server
    }

    /// `host:port`.
    pub fn smarthost(&self) -> String {
        self.address.to_string()
    }

    /// Mail that was taken.
    pub fn mails(&self) -> Vec<Mail> {
        self.desk().mails.clone()
    }

    /// Number of connections.
    pub fn connections(&self) -> usize {
        self.desk().connections
    }

    /// The next command that begins like this is answered so, or never where that is nothing.
    pub fn answer_next(&self, command: &str, answer: Option<&str>) {
        self.desk().answers.push((command.into(), answer.map(Into::into)));
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().expect("no test panics while it holds this")
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What a client said so far.
#[derive(Default)]
struct Session {
    hello: String,
    from: Option<String>,
    to: Vec<String>,
    login: Option<(String, String)>,
    encrypted: bool,
}

async fn serve(stream: TcpStream, desk: Arc<Mutex<Desk>>, offer: Offer) {
    let mut session = Session::default();
    let mut stream: Box<dyn Stream> = match (offer.tls, &offer.acceptor) {
        (Tls::Implicit, Some(acceptor)) => {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            session.encrypted = true;
            Box::new(stream)
        }
        _ => Box::new(stream),
    };
    if stream.write_all(b"220 test ESMTP\r\n").await.is_err() {
        return;
    }
    loop {
        let mut lines = BufReader::new(stream);
        if !converse(&mut lines, &mut session, &desk, &offer).await {
            return;
        }
        // What was said before TLS is forgotten.
        let Some(acceptor) = &offer.acceptor else { return };
        let Ok(encrypted) = acceptor.accept(lines.into_inner()).await else { return };
        stream = Box::new(encrypted);
        session = Session { encrypted: true, ..Session::default() };
    }
}

/// Answers commands; returns whether TLS begins.
async fn converse(
    stream: &mut BufReader<Box<dyn Stream>>,
    session: &mut Session,
    desk: &Mutex<Desk>,
    offer: &Offer,
) -> bool {
    while let Some(line) = line(stream).await {
        let scripted = {
            let mut desk = desk.lock().expect("no panic");
            let at = desk.answers.iter().position(|(command, _)| line.starts_with(command.as_str()));
            at.map(|at| desk.answers.remove(at).1)
        };
        let answer = match scripted {
            Some(None) => std::future::pending().await,
            Some(Some(answer)) => answer,
            None if line == "STARTTLS" && offer.tls == Tls::Upgraded && !session.encrypted => {
                return say(stream, "220 go ahead").await;
            }
            None if line == "QUIT" => {
                say(stream, "221 bye").await;
                return false;
            }
            None => match command(&line, stream, session, desk, offer).await {
                Some(answer) => answer,
                None => return false,
            },
        };
        if !say(stream, &answer).await {
            return false;
        }
    }
    false
}

async fn command(
    line: &str,
    stream: &mut BufReader<Box<dyn Stream>>,
    session: &mut Session,
    desk: &Mutex<Desk>,
    offer: &Offer,
) -> Option<String> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let ok = || "250 ok".to_owned();
    let needs_login = offer.mechanism.is_some() && session.login.is_none();
    Some(match verb {
        "EHLO" => {
            session.hello = rest.into();
            let mut offered = vec!["250-test".to_owned(), "250-8BITMIME".into()];
            if offer.tls == Tls::Upgraded && !session.encrypted {
                offered.push("250-STARTTLS".into());
            }
            offered.extend(offer.mechanism.map(|mechanism| format!("250-AUTH {mechanism}")));
            offered.push("250 SMTPUTF8".into());
            offered.join("\r\n")
        }
        "AUTH" => {
            session.login = login(rest, stream).await;
            if session.login.is_some() { "235 welcome".into() } else { "535 5.7.8 who are you?".into() }
        }
        "MAIL" if session.hello.is_empty() => "503 say EHLO first".into(),
        "MAIL" if needs_login => "530 5.7.0 log in first".into(),
        "MAIL" => {
            session.from = address(rest);
            ok()
        }
        "RCPT" if session.from.is_none() => "503 say MAIL first".into(),
        "RCPT" => {
            session.to.extend(address(rest));
            ok()
        }
        "DATA" if session.to.is_empty() => "503 say RCPT first".into(),
        "DATA" => {
            say(stream, "354 go ahead").await;
            let text = mail(stream).await?;
            desk.lock().expect("no panic").mails.push(Mail {
                hello: session.hello.clone(),
                from: session.from.take().unwrap_or_default(),
                to: std::mem::take(&mut session.to),
                login: session.login.clone(),
                encrypted: session.encrypted,
                text,
            });
            ok()
        }
        "NOOP" | "RSET" => ok(),
        _ => "500 what?".into(),
    })
}

/// The user and the password of `AUTH`.
async fn login(rest: &str, stream: &mut BufReader<Box<dyn Stream>>) -> Option<(String, String)> {
    let decoded = |text: &str| String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok();
    let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
    match mechanism {
        "PLAIN" => {
            let text = decoded(initial)?;
            let mut parts = text.split('\0').skip(1);
            Some((parts.next()?.into(), parts.next()?.into()))
        }
        "LOGIN" => {
            say(stream, &format!("334 {}", BASE64_STANDARD.encode("Username:"))).await;
            let user = decoded(&line(stream).await?)?;
            say(stream, &format!("334 {}", BASE64_STANDARD.encode("Password:"))).await;
            Some((user, decoded(&line(stream).await?)?))
        }
        _ => None,
    }
}

fn address(rest: &str) -> Option<String> {
    let (_, address) = rest.split_once('<')?;
    address.split_once('>').map(|(address, _)| address.to_owned())
}

async fn mail(stream: &mut BufReader<Box<dyn Stream>>) -> Option<String> {
    let mut text = String::new();
    loop {
        let next = line(stream).await?;
        if next == "." {
            return Some(text);
        }
        text.push_str(next.strip_prefix('.').unwrap_or(&next));
        text.push_str("\r\n");
    }
}

async fn line(stream: &mut BufReader<Box<dyn Stream>>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(read) if read > 0 => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        _ => None,
    }
}

async fn say(stream: &mut BufReader<Box<dyn Stream>>, answer: &str) -> bool {
    stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_ok() && stream.flush().await.is_ok()
}
