//! `fingerpost stream`: a finger client, plain or TLS. It shows what comes, and understands nothing of it.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::explain;
use crate::config::address;
use crate::config::settings::{self, ClientTls, HostPort, KeyPairFiles, Trust};
use crate::names::BuildId;
use crate::stream;
use crate::tls::Client;
use crate::transport::Transport;
use crate::upstream::{self, Pace};

#[cfg(test)]
mod tests;

/// RFC 1288.
const FINGER_PORT: u16 = 79;

/// Head start of each address over the next one (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// How much is read at a time, in bytes.
const CHUNK: usize = 64 * 1024;

/// The arguments of `fingerpost stream`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0  the log came to its end, or standard output was closed
  1  the connection failed, or broke

Examples:
  fingerpost stream 4a1c9be27f0e4c06b9d2c8f3a1e5d700 logs.example.org
  fingerpost stream 4a1c9be27f0e4c06b9d2c8f3a1e5d700 '[fd00::5]:7900' | grep -i error
  fingerpost stream --tls --ca ca.pem --cert me.pem --key me.key $UUID gw.example.org:7979")]
pub struct Stream {
    /// The build's uuid, as Zuul's status page shows it.
    #[arg(value_parser = explain::build)]
    pub uuid: BuildId,

    /// Whom to ask; port 79 unless given. IPv6 addresses stand in brackets.
    #[arg(value_name = "HOST[:PORT]", value_parser = host)]
    pub host: HostPort,

    /// Longest wait for the connection, and again for the TLS handshake. The log itself may be silent for hours.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,

    /// How TLS is spoken.
    #[command(flatten)]
    pub tls: Tls,
}

/// How TLS is spoken, if it is.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "TLS")]
pub struct Tls {
    /// Speak TLS; needs --ca.
    #[arg(long, requires = "ca")]
    pub tls: bool,

    /// The CA that the server's certificate must come from, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub ca: Option<PathBuf>,

    /// Revocation lists of that CA, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub crl: Option<PathBuf>,

    /// The certificate to show when the server asks for one, in PEM. Zuul's gateways do ask.
    #[arg(long, value_name = "FILE", requires = "tls", requires = "key")]
    pub cert: Option<PathBuf>,

    /// The key of that certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls", requires = "cert")]
    pub key: Option<PathBuf>,

    /// The name to ask for (SNI), and to find in the server's certificate. [default: HOST]
    #[arg(long, value_name = "NAME", requires = "tls")]
    pub server_name: Option<String>,

    /// Do not look for the name in the server's certificate.
    #[arg(long, requires = "tls")]
    pub no_verify_hostname: bool,

    /// Take a server's certificate of X.509 version 1, if the CA signed it directly.
    #[arg(long, requires = "tls")]
    pub version1_certificates: bool,
}

fn host(text: &str) -> Result<HostPort, String> {
    address::host_port(text, FINGER_PORT)
}

/// Writes the log to `out` until it ends, or `out` is closed.
///
/// # Errors
/// Whatever kept the log from coming, or from coming to its end.
pub async fn stream(asked: &Stream, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut transport = connect(asked).await?;
    ask(&mut transport, asked).await.with_context(|| format!("{} did not take the request", asked.host))?;
    copy(&mut transport, out).await.with_context(|| format!("the log from {} broke off", asked.host))
}

/// Connects, such that a server which vanishes is noticed however long the log is silent.
async fn connect(asked: &Stream) -> anyhow::Result<Transport> {
    let client = asked.tls.settings().map(|settings| load(&settings)).transpose()?;
    let pace = Pace { deadline: asked.timeout, head_start: HEAD_START };
    let (tcp, address) = upstream::connect(&asked.host.host, asked.host.port, pace)
        .await
        .with_context(|| format!("cannot connect to {}", asked.host))?;
    stream::tune_upstream(&tcp, address.ip(), &settings::Stream::default());
    Ok(match client {
        Some(client) => Transport::Tls(Box::new(handshake(asked, &client, tcp).await?)),
        None => Transport::Plain(tcp),
    })
}

fn load(settings: &ClientTls) -> anyhow::Result<Client> {
    Client::load(settings).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        anyhow!("{}", lines.join("\n"))
    })
}

async fn handshake(asked: &Stream, client: &Client, tcp: TcpStream) -> anyhow::Result<crate::tls::Stream> {
    let name = asked.tls.server_name.as_deref().unwrap_or(&asked.host.host);
    let failed = || format!("no TLS with {}", asked.host);
    match timeout(asked.timeout, client.connect(name, tcp)).await {
        Ok(shaken) => shaken.with_context(failed),
        Err(_elapsed) => bail!("{}: no answer within {}", failed(), humantime::format_duration(asked.timeout)),
    }
}

async fn ask(transport: &mut Transport, asked: &Stream) -> io::Result<()> {
    let line = format!("{}\n", asked.uuid);
    let sent = async {
        transport.write_all(line.as_bytes()).await?;
        transport.flush().await
    };
    timeout(asked.timeout, sent).await?
}

/// Copies what comes, as it comes. A closed `out` is how a person says that it is enough.
async fn copy(transport: &mut Transport, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut total: u64 = 0;
    loop {
        let read = transport.read(&mut chunk).await.with_context(|| format!("after {total} bytes"))?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        total += bytes.len() as u64;
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written.context("cannot write to standard output")?,
        }
    }
}

impl Tls {
    /// The settings of the TLS client; `None` speaks plain TCP.
    fn settings(&self) -> Option<ClientTls> {
        // clap has made sure that there is a CA where there is TLS, and no half of a key pair.
        let ca = self.ca.clone().filter(|_| self.tls)?;
        let identity = self.cert.clone().zip(self.key.clone()).map(|(cert, key)| KeyPairFiles { cert, key });
        let trust = Trust { ca, crl: self.crl.clone(), version1_certificates: self.version1_certificates };
        Some(ClientTls { identity, trust, verify_hostnames: !self.no_verify_hostname })
    }
}
