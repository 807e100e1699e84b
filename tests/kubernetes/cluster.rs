//! The cluster that the other tests stand on: its controllers work, RBAC refuses, the audit log has it, and parts come back.

use std::time::Duration;

use anyhow::ensure;
use bed::cluster::{Cluster, Options, Part};
use bed::process::eventually;
use serde_json::Value;
use tests::need;

use super::tools;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the audit log has of requests for a path by a user.
fn audited(cluster: &Cluster, user: &str, path: &str) -> Vec<Value> {
    let log = std::fs::read_to_string(cluster.audit_log()).unwrap();
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["user"]["username"] == user && event["requestURI"].as_str() == Some(path)).collect()
}

#[test]
fn a_cluster_has_accounts_refuses_and_writes_down_who_asked() {
    if !need("a cluster", tools().err()) {
        return;
    }
    let mut cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    assert!(cluster.kubectl(&["version"]).unwrap().contains("Server Version: v1.37.2"));

    cluster.kubectl(&["create", "namespace", "shop"]).unwrap();
    let get = ["get", "-n", "shop", "serviceaccount/default", "configmap/kube-root-ca.crt", "-o", "name"];
    eventually("the namespace's account and root", PATIENCE, || cluster.kubectl(&get)).unwrap();
    let root = ["get", "-n", "shop", "configmap/kube-root-ca.crt", "-o", "jsonpath={.data.ca\\.crt}"];
    assert_eq!(cluster.kubectl(&root).unwrap().trim(), cluster.root().trim());

    let account = "system:serviceaccount:shop:default";
    let path = "/api/v1/namespaces/shop/secrets?limit=500";
    let as_account = ["--as", account, "get", "secrets", "-n", "shop"];
    // Who impersonates is the one who is written down; a token is the account's own.
    let refused = cluster.kubectl(&as_account).unwrap_err().to_string();
    assert!(refused.contains("cannot list resource \"secrets\""), "{refused}");
    let token = cluster.kubectl(&["create", "token", "default", "-n", "shop", "--audience", "istio-ca"]).unwrap();
    let mut command = cluster.kubectl_command();
    let mine = folder_without_credentials(&cluster);
    command.args(["--kubeconfig", &mine, "--token", token.trim(), "get", "secrets", "-n", "shop"]);
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(!ran.status.success() && said.contains(account), "{said}");
    let events = audited(&cluster, account, path);
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event["annotations"]["authorization.k8s.io/decision"], "forbid");
    assert_eq!(event["responseStatus"]["code"], 403);

    // A held API server answers nobody, and goes on where it was.
    cluster.hold(Part::ApiServer).unwrap();
    let silent = cluster.kubectl(&["get", "namespace", "shop", "--request-timeout", "1s"]);
    assert!(silent.is_err(), "{silent:?}");
    cluster.release(Part::ApiServer).unwrap();
    cluster.kubectl(&["get", "namespace", "shop"]).unwrap();
    // What was stored survives that all parts are killed.
    for part in [Part::Etcd, Part::ApiServer, Part::ControllerManager] {
        cluster.kill(part);
    }
    for part in [Part::Etcd, Part::ApiServer, Part::ControllerManager] {
        cluster.restart(part).unwrap();
    }
    cluster.kubectl(&["get", "namespace", "shop"]).unwrap();
    cluster.kubectl(&["create", "namespace", "later"]).unwrap();
    eventually("controllers that work again", PATIENCE, || {
        let account = cluster.kubectl(&["get", "serviceaccount", "-n", "later", "-o", "name"])?;
        ensure!(account.contains("default"), "{account:?}");
        Ok(())
    })
    .unwrap();
}

/// A kubeconfig that says where the API server is and not who asks.
fn folder_without_credentials(cluster: &Cluster) -> String {
    let mut config: Value = serde_json::from_slice(&std::fs::read(cluster.kubeconfig()).unwrap()).unwrap();
    config["users"][0]["user"] = serde_json::json!({});
    let path = cluster.folder().join("nobody.kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    path.display().to_string()
}
