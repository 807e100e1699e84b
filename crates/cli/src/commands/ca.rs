//! `meltemi ca check`: would these files do as a CA, as a workload's identity, as roots?

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use ca::{Fine, Plugged, Reason, Refusal, Workload};
use clap::{Args, Subcommand};

/// Looks at certificates as the control plane does.
#[derive(Args)]
pub(crate) struct Ca {
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Subcommand)]
enum CaCommand {
    Check(Check),
}

/// Says whether files would do as a plugged-in CA (--cert, --key, --root), as a workload's identity (--workload), or as roots
/// (--root alone).
///
/// Exit code 0 when they would, 1 when not, with the reason first on standard error, 2 for wrong usage.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  meltemi ca check --cert ca-cert.pem --key ca-key.pem --root root-cert.pem --chain cert-chain.pem\n  \
                  meltemi ca check --workload --cert cert-chain.pem --root root-cert.pem --san spiffe://cluster.local/ns/shop/sa/web"
)]
struct Check {
    /// The certificate; with --workload, its chain may follow it in the file.
    #[arg(long, value_name = "FILE", required_if_eq("workload", "true"))]
    cert: Option<PathBuf>,
    /// The private key: RSA or EC, in PKCS#1, PKCS#8 or SEC1.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The roots that the mesh trusts.
    #[arg(long, value_name = "FILE", required = true)]
    root: PathBuf,
    /// Certificates between --cert and --root. May be given several times.
    #[arg(long, value_name = "FILE", requires = "cert")]
    chain: Vec<PathBuf>,
    /// Revocation lists: with any, each CA of the chain needs one. May be given several times.
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "workload")]
    crl: Vec<PathBuf>,
    /// The certificate is a workload's.
    #[arg(long)]
    workload: bool,
    /// The identity that the workload's certificate must carry.
    #[arg(long, value_name = "URI", requires = "workload")]
    san: Option<String>,
}

impl Ca {
    pub(crate) fn run(&self) -> ExitCode {
        let CaCommand::Check(check) = &self.command;
        if check.cert.is_some() && check.key.is_none() && !check.workload {
            eprintln!("meltemi: --cert without --workload is a CA's and needs its --key");
            return ExitCode::from(2);
        }
        match check.judge() {
            Ok(fine) => {
                println(&format!("ok: {}", fine.text));
                fine.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
                ExitCode::SUCCESS
            }
            Err(refusal) => {
                eprintln!("{refusal}");
                ExitCode::FAILURE
            }
        }
    }
}

impl Check {
    fn judge(&self) -> Result<Fine, Refusal> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let root = read(&self.root)?;
        let Some(cert) = &self.cert else { return ca::roots(&root, now) };
        let cert = read(cert)?;
        let key = self.key.as_ref().map(read).transpose()?;
        let chain = self.chain.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let crl = self.crl.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let (cert, root, chain, key) = (cert.as_slice(), root.as_slice(), chain.as_slice(), key.as_deref());
        if let (Some(key), false) = (key, self.workload) {
            return ca::plugged(&Plugged { cert, key, root, chain, crl: &crl }, now);
        }
        ca::workload(&Workload { cert, key, root, chain, san: self.san.as_deref() }, now)
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Refusal> {
    std::fs::read(path).map_err(|error| Refusal::new(Reason::File, format!("reading {}: {error}", path.display())))
}

#[expect(clippy::print_stdout, reason = "results go to standard output")]
fn println(text: &str) {
    println!("{text}");
}
