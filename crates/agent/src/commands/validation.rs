//! Whether the rules of capture are there, which somebody else was to set: what the proxy's user sends to the pod's own address must come
//! to the port that takes inbound connections. Source: istio: tools/istio-iptables/pkg/validation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// A port that nobody serves and no rule leaves out.
const NOBODYS: u16 = 15002;
/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried before the rules count as missing, a second apart.
const TRIES: usize = 5;
/// What comes through says so.
const HERE: u8 = 42;

/// Looks; an error when the rules of an address are not there.
pub(super) fn run(addresses: &[IpAddr], inbound: u16) -> anyhow::Result<()> {
    super::block_on(async {
        for address in addresses {
            let any: IpAddr =
                if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let listener = TcpListener::bind((any, inbound)).await;
            let listener = listener.with_context(|| format!("binding port {inbound}; is it taken?"))?;
            let greet = async {
                loop {
                    if let Ok((mut socket, _)) = listener.accept().await {
                        let _ = socket.write_all(&[HERE]).await;
                    }
                }
            };
            tokio::select! {
                () = greet => {}
                led = is_led(SocketAddr::new(*address, NOBODYS)) => led?,
            }
        }
        Ok(())
    })
}

/// Whether a connection comes to where it is greeted.
async fn is_led(address: SocketAddr) -> anyhow::Result<()> {
    let mut why = String::new();
    for _ in 0..TRIES {
        let greeted = async { TcpStream::connect(address).await?.read_u8().await };
        match timeout(PATIENCE, greeted).await {
            Ok(Ok(HERE)) => return Ok(()),
            Ok(Ok(_)) => "somebody else answered".clone_into(&mut why),
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => "no answer".clone_into(&mut why),
        }
        sleep(Duration::from_secs(1)).await;
    }
    bail!("the rules of capture are not there: a connection to {address} was not led to the proxy: {why}")
}
