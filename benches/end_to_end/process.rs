//! Processes under measurement: pinned to a core, watched through `/proc`.

use std::error::Error;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child process pinned to one core, killed when dropped.
#[derive(Debug)]
pub struct Pinned(Child);

impl Pinned {
    /// Starts `program` on `core` alone.
    pub fn start(core: usize, program: &Path, arguments: &[&str], log: &Path) -> io::Result<Self> {
        let log = fs::File::create(log)?;
        let child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self(child))
    }

    /// Processor time so far, user and system, of all threads.
    pub fn cpu(&self) -> io::Result<Duration> {
        // Threads that are gone count only in `stat`, which has ticks of 10 ms; those that live are exact.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        let mut exact = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            if let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) {
                exact += on_cpu(&text)?;
            }
        }
        Ok(exact.max(Duration::from_millis(ticks * 10)))
    }

    /// Most resident memory so far, in bytes.
    pub fn peak_rss(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other("no VmHWM in /proc/PID/status"))
    }

    /// Fails if the process is gone.
    pub fn check(&mut self) -> io::Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => Err(io::Error::other(format!("the process ended early: {status}"))),
        }
    }

    /// Asks the process to end and waits.
    pub fn stop(mut self) -> io::Result<()> {
        Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status()?;
        let until = Instant::now() + Duration::from_secs(30);
        while self.0.try_wait()?.is_none() {
            if Instant::now() > until {
                return Err(io::Error::other("the process did not end within 30 s of SIGTERM"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Both fail only when the process has ended, which is what they are for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processor time of the calling thread.
pub fn own_thread_cpu() -> io::Result<Duration> {
    on_cpu(&fs::read_to_string("/proc/thread-self/schedstat")?)
}

fn on_cpu(schedstat: &str) -> io::Result<Duration> {
    let nanos = schedstat.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| io::Error::other("the kernel keeps no schedstat"))
}

/// A loopback address that was free a moment ago.
pub fn free_address() -> io::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Body of the answer to a GET.
pub fn get(address: &str, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n");
    let head = head.ok_or_else(|| io::Error::other("an answer without a head"))?;
    if !answer.starts_with(b"HTTP/1.1 200") && !answer.starts_with(b"HTTP/1.0 200") {
        let words = String::from_utf8_lossy(&answer[..head]).into_owned();
        return Err(io::Error::other(format!("GET {path}: {words}")));
    }
    Ok(answer.split_off(head + 4))
}

/// Waits until `address` answers a GET of `path`.
pub fn wait_ready(process: &mut Pinned, address: &str, path: &str) -> io::Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        process.check()?;
        match get(address, path) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// The folder of a peer, which is fetched and built where that was not done before.
pub fn fetched(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(name).join("prepare");
    let output = Command::new(script).arg("--folder").stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{name} could not be had: {}", output.status).into());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
