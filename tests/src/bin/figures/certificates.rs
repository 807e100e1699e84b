//! Certificates: what signing costs against what its cryptography alone costs, and how long 64 clients at once wait.

use std::time::{Duration, Instant};

use anyhow::Context;
use ca::{Authority, Lifetimes, Plugged};
use proto::istio::v1::auth::IstioCertificateRequest;
use tests::secured::Secured;

use crate::Figure;
use crate::agents::TOKEN;
use crate::secured::Control;

const CLIENTS: usize = 64;
/// Requests of each client.
const REQUESTS: usize = 20;

pub(super) fn all() -> anyhow::Result<Vec<Figure>> {
    let floor = floor()?;
    let rate = rate()?;
    let latencies = latencies()?;
    let p99 = latencies[latencies.len() * 99 / 100];
    Ok(vec![
        Figure::at_least("CSRs signed per second and core, P-256 / floor", rate / floor, 0.5),
        Figure::at_most("CSR with 64 clients at once, p99 ms", p99.as_secs_f64() * 1000.0, 500.0),
    ])
}

/// Signatures that are verified and made per second, by what openssl measures on this machine now.
pub(crate) fn floor() -> anyhow::Result<f64> {
    let speed = std::process::Command::new("openssl").args(["speed", "-seconds", "1", "ecdsap256"]).output()?;
    let text = String::from_utf8_lossy(&speed.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("nistp256")).with_context(|| format!("openssl said {text}"))?;
    let numbers: Vec<f64> = line.split_whitespace().rev().take(2).filter_map(|word| word.parse().ok()).collect();
    let [verify, sign] = numbers[..] else { anyhow::bail!("openssl said {line}") };
    Ok(1.0 / (1.0 / sign + 1.0 / verify))
}

/// Now, in Unix time.
pub(crate) fn now() -> anyhow::Result<i64> {
    Ok(i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())?)
}

fn csr() -> anyhow::Result<String> {
    Ok(rcgen::CertificateParams::new(vec![])?.serialize_request(&rcgen::KeyPair::generate()?)?.pem()?)
}

/// Requests that are parsed, verified and signed per second, on this thread.
fn rate() -> anyhow::Result<f64> {
    let (cert, key) = ca::self_signed("figures", now()?)?;
    let (cert, key) = (cert.as_bytes(), key.as_bytes());
    let authority = Authority::load(&Plugged { cert, key, root: cert, chain: &[], crl: &[] }, now()?)?;
    let (csr, started, mut signed) = (csr()?, Instant::now(), 0_u32);
    while started.elapsed() < Duration::from_secs(1) {
        authority.issue(&csr, "spiffe://cluster.local/ns/shop/sa/web", 0, Lifetimes::default(), now()?)?;
        signed += 1;
    }
    Ok(f64::from(signed) / started.elapsed().as_secs_f64())
}

/// How long requests take over the wire, sorted.
fn latencies() -> anyhow::Result<Vec<Duration>> {
    let control = Control::start()?;
    let (address, csr) = (control.address, csr()?);
    let roots = std::fs::read_to_string(control.ca.join("root-cert.pem"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..CLIENTS {
            let (roots, csr) = (roots.clone(), csr.clone());
            clients.spawn(async move {
                let mut client = Secured::connect(address, &roots, None).await?.with_token(TOKEN);
                let mut took = Vec::new();
                for _ in 0..REQUESTS {
                    let started = Instant::now();
                    let request = IstioCertificateRequest { csr: csr.clone(), ..IstioCertificateRequest::default() };
                    let answer = client.certificate(&request).await?;
                    answer.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
                    took.push(started.elapsed());
                }
                Ok::<_, anyhow::Error>(took)
            });
        }
        let mut all = Vec::new();
        while let Some(client) = clients.join_next().await {
            all.extend(client??);
        }
        all.sort();
        Ok(all)
    })
}
