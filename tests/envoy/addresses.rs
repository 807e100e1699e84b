//! Addresses that hosts outside were given: in a pod with captured DNS names answer with them, and plain TCP of one port is told apart.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use super::dns::{CONTROL, Pod};
use super::*;

/// A host with the endpoint at this port of the node, given this address.
fn outside(name: &str, endpoint: u16, address: Ipv4Addr) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{name}.example.com]
  ports: [{{number: 7000, name: tcp, protocol: TCP, targetPort: {endpoint}}}]
  resolution: STATIC
  endpoints: [{{address: {CONTROL}}}]
status: {{addresses: [{{host: {name}.example.com, value: {address}}}]}}
---
"
    )
}

/// What a server says at once.
fn said(pod: &Pod, address: Ipv4Addr) -> anyhow::Result<String> {
    pod.place.inside(move || {
        let mut socket = TcpStream::connect_timeout(&(address, 7000).into(), Duration::from_secs(2))?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut said = String::new();
        socket.read_to_string(&mut said)?;
        Ok(said)
    })
}

#[test]
fn hosts_of_one_port_are_told_apart_by_the_addresses_that_they_were_given() {
    let missing = envoy().err().or_else(bed::net::obstacle);
    if !need("DNS in a pod", missing) {
        return;
    }
    let pod = Pod::start(&envoy().unwrap(), Vec::new());
    let hosts = [("red", Ipv4Addr::new(240, 240, 1, 1)), ("blue", Ipv4Addr::new(240, 240, 1, 2))];
    let mut objects = String::new();
    for (name, address) in hosts {
        let server = pod.network.node().inside(|| Ok(TcpListener::bind((CONTROL, 0))?)).unwrap();
        objects += &outside(name, server.local_addr().unwrap().port(), address);
        std::thread::spawn(move || {
            for mut client in server.incoming().flatten() {
                let _ = client.write_all(name.as_bytes());
            }
        });
    }
    std::fs::write(pod.folder.join("config/outside.yaml"), objects).unwrap();
    for (name, address) in hosts {
        let host = format!("{name}.example.com");
        eventually("the name", Duration::from_secs(15), || {
            let found = pod.resolve(&host)?;
            ensure!(found == [address.to_string()], "{host} is {found:?}");
            Ok(())
        })
        .unwrap();
        eventually("the host's own server", Duration::from_secs(15), || {
            let said = said(&pod, address)?;
            ensure!(said == name, "{host} says {said:?}");
            Ok(())
        })
        .unwrap();
    }
}
