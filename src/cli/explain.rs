//! `fingerpost explain`: what would be decided about a request, and why; and what another script or another asker would
//! get. It changes nothing.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use crate::cli::{Exit, Misuse, Source};
use crate::explain::{Explanation, Inquiry, Supposition};
use crate::names::{BuildId, Zone};
use crate::request::Query;
use crate::tls::{Identity, LoadError};

/// The arguments of `fingerpost explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0  the viewer gets a log, or a reply of the policy's; and with options of the section Suppose, the same as without
  1  it is refused, the policy fails or breaks its invariant, or something differs; or the registry cannot be read
  2  bad arguments or configuration

Examples:
  fingerpost explain 4a1c9be27f0e4c06b9d2c8f3a1e5d700
  fingerpost explain --zuul-conf /etc/zuul/zuul.conf 4a1c9be27f0e4c06b9d2c8f3a1e5d700
  fingerpost explain $UUID --policy new.lua --zone east
  fingerpost explain $UUID --viewer 192.0.2.7 --listener tls --certificate viewer.pem
  fingerpost explain --query zones@ --at 2030-12-31T23:00:00Z
  fingerpost explain --json $UUID | jq '.decision.targets[].host'")]
pub struct Explain {
    /// The build's uuid, as Zuul's status page shows it.
    #[arg(value_parser = build, required_unless_present = "query", conflicts_with = "query")]
    pub uuid: Option<BuildId>,

    /// Instead of a uuid: any line that a viewer may send, for policies that answer such themselves.
    #[arg(long, value_name = "LINE", value_parser = line)]
    pub query: Option<Query>,

    /// Say it as one JSON object, on one line.
    ///
    /// It has the keys registry, query, build, gateways, zone and decision; with options of the section Suppose also
    /// supposed, other and differences.
    #[arg(long)]
    pub json: bool,

    /// Where the configuration is.
    #[command(flatten)]
    pub source: Source,

    /// What is to be different.
    #[command(flatten)]
    pub suppose: Suppose,
}

/// What is to be different. Without any of it an unknown viewer on this machine asks on the first listener, now.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Suppose")]
pub struct Suppose {
    /// Another policy decides: a script, or a folder of them.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// The relay is in this zone.
    #[arg(long, value_name = "ZONE", value_parser = zone, conflicts_with = "no_zone")]
    pub zone: Option<Zone>,

    /// The relay is in no zone.
    #[arg(long)]
    pub no_zone: bool,

    /// The viewer has this address. [default: ::1]
    #[arg(long, value_name = "ADDRESS")]
    pub viewer: Option<IpAddr>,

    /// It came to this listener. [default: the first]
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,

    /// It asked for this server name (SNI).
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,

    /// It proved to be who this certificate names, in PEM. The certificate is read, and not verified.
    #[arg(long, value_name = "FILE", conflicts_with = "subject")]
    pub certificate: Option<PathBuf>,

    /// It proved to have a certificate of this subject, such as CN=alice,O=example, with nothing else in it.
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,

    /// It asks at this time, in UTC: 2030-12-31T23:00:00Z or 2030-12-31.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<SystemTime>,
}

impl Explain {
    /// What is asked.
    ///
    /// # Errors
    /// [`Misuse`] if the certificate cannot be read.
    pub fn inquiry(&self) -> Result<Inquiry> {
        let of_build = self.uuid.as_ref().map(|uuid| Query { line: uuid.to_string(), build: Some(uuid.clone()) });
        let query = self.query.clone().or(of_build).context("neither a uuid nor a query was given")?;
        Ok(Inquiry { query, supposed: self.suppose.supposition()? })
    }
}

impl Suppose {
    fn supposition(&self) -> Result<Supposition, Misuse> {
        let Self { policy, zone, no_zone, viewer, listener, server_name, at, .. } = self;
        Ok(Supposition {
            policy: policy.clone(),
            zone: if *no_zone { Some(None) } else { zone.clone().map(Some) },
            viewer: *viewer,
            listener: listener.clone(),
            server_name: server_name.clone(),
            identity: self.identity()?.map(Arc::new),
            at: *at,
        })
    }

    fn identity(&self) -> Result<Option<Identity>, Misuse> {
        let lines = |errors: Vec<LoadError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        match (&self.certificate, &self.subject) {
            (Some(file), _) => Identity::supposed(file).map(Some).map_err(|errors| Misuse(lines(errors))),
            (None, Some(subject)) => {
                Ok(Some(Identity { subject: subject.clone(), names: Vec::new(), fingerprint: String::new() }))
            }
            (None, None) => Ok(None),
        }
    }
}

/// Shows `explanation` on `out`, as it was `asked` for.
///
/// # Errors
/// If it takes no more.
pub fn show(asked: &Explain, explanation: &Explanation, out: &mut dyn Write) -> Result<Exit> {
    let text = if asked.json { serde_json::to_string(explanation)? + "\n" } else { explanation.to_string() };
    write!(out, "{text}").context("cannot write the explanation")?;
    Ok(if explanation.is_good() { Exit::Done } else { Exit::Failed })
}

/// Reads a build's uuid from the command line.
pub(super) fn build(text: &str) -> Result<BuildId, String> {
    BuildId::parse(text).ok_or_else(|| format!("a build's uuid has 1 to {} hexadecimal digits", BuildId::MAX_LEN))
}

fn line(text: &str) -> Result<Query, String> {
    if text.contains('\n') {
        return Err("a query is one line".to_owned());
    }
    Query::parse(text).map_err(|fault| fault.to_string())
}

/// Reads the name of a zone from the command line.
pub(super) fn zone(text: &str) -> Result<Zone, String> {
    Zone::parse(text).ok_or_else(|| "a zone's name is not empty, and has no slash".to_owned())
}

fn time(text: &str) -> Result<SystemTime, String> {
    let day = humantime::parse_rfc3339_weak(&format!("{text} 00:00:00"));
    humantime::parse_rfc3339_weak(text).or(day).map_err(|error| format!("{error}; write it as 2030-12-31T23:00:00Z"))
}
