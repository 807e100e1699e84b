//! Pods of the cluster: they roll out, are asked and entered, fall out of their Service, end as they are told, and answer the API server.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bed::cluster::{Cluster, Image, Images, NODE, Options, Part, Pods, Program};
use bed::process::{Running, eventually};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tests::need;
use tests::plane::folder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::tools;

const PATIENCE: Duration = Duration::from_secs(60);

/// A small HTTP server: it is ready while a file is there, and takes its time to end.
const SERVER: &str = r#"
import http.server, os, signal, socketserver, ssl, sys, time
def end(*_):
    print("ending", flush=True)
    time.sleep(float(os.environ.get("LINGER", "0")))
    print("ended", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path != "/ready" or os.path.exists("/state/ready")
        text = f"{os.environ['POD_NAME']} {self.client_address[0]} {os.getuid()} {os.getpid()}\n".encode()
        self.send_response(200 if ready else 503)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_): pass
print("serving as", os.environ["POD_NAME"], os.environ["GREETING"], flush=True)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("", 8080), Handler).serve_forever()
"#;

fn obstacle() -> Option<String> {
    tools().err().or_else(bed::net::obstacle)
}

fn start() -> Cluster {
    let mut options = Options::new(tools().unwrap());
    options.pods = Pods::Played(
        Images::default()
            .with("shop/web", Image::Program(Program::of(&["python3", "-u", "-c", SERVER])))
            .with("shop/hook", Image::Program(Program::of(&["python3", "-u", "-c", WEBHOOK])))
            .with("shop/paper", Image::Paper),
    );
    Cluster::start(options).unwrap()
}

fn deployment() -> String {
    let template = json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": {
            "initContainers": [{
                "name": "first", "image": "local/sh",
                "args": ["-c", "echo $(GREETING) > /state/greeting; touch /state/ready"],
                "env": [{ "name": "GREETING", "value": "hello" }],
                "volumeMounts": [{ "name": "state", "mountPath": "/state" }],
            }],
            "containers": [{
                "name": "web", "image": "shop/web:v1",
                "ports": [{ "name": "http", "containerPort": 8080 }],
                "env": [
                    { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                    { "name": "GREETING", "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "greeting" } } },
                    { "name": "LINGER", "value": "2" },
                ],
                "securityContext": { "runAsUser": 1337, "runAsGroup": 1337, "readOnlyRootFilesystem": true },
                "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" }, "periodSeconds": 1, "failureThreshold": 1 },
                "volumeMounts": [
                    { "name": "state", "mountPath": "/state" },
                    { "name": "settings", "mountPath": "/etc/settings" },
                ],
            }],
            "volumes": [
                { "name": "state", "emptyDir": {} },
                { "name": "settings", "configMap": { "name": "settings" } },
            ],
        },
    });
    let objects = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings" }, "data": { "greeting": "good day" } },
        { "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
          "spec": { "selector": { "app": "web" }, "ports": [{ "name": "http", "port": 80, "targetPort": "http" }] } },
        { "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
          "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "web" } }, "template": template } },
    ] });
    objects.to_string()
}

/// Addresses of the Service's endpoints that are ready.
fn ready(cluster: &Cluster) -> anyhow::Result<Vec<String>> {
    let get = ["get", "endpointslices", "-l", "kubernetes.io/service-name=web", "-o", "json"];
    let slices: Value = serde_json::from_str(&cluster.kubectl(&get)?)?;
    let endpoints = slices["items"].as_array().into_iter().flatten().flat_map(|slice| slice["endpoints"].as_array());
    let ready = endpoints.flatten().filter(|endpoint| endpoint["conditions"]["ready"] == true);
    Ok(ready.filter_map(|endpoint| endpoint["addresses"][0].as_str().map(str::to_owned)).collect())
}

fn names(cluster: &Cluster) -> Vec<String> {
    let get = ["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.name}"];
    cluster.kubectl(&get).unwrap().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_deployment_rolls_out_is_asked_and_entered_and_ends() {
    if !need("pods of a cluster", obstacle()) {
        return;
    }
    let cluster = start();
    cluster.apply(&deployment()).unwrap();
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout", "60s"]).unwrap();
    let two = || {
        let ready = ready(&cluster)?;
        ensure!(ready.len() == 2, "{ready:?}");
        Ok(())
    };
    eventually("both endpoints", PATIENCE, two).unwrap();
    let all = names(&cluster);
    let [first, second] = &all[..] else { panic!("{all:?}") };
    // Output, also that of a container that is over, and of its variables.
    let log = cluster.kubectl(&["logs", first]).unwrap();
    assert_eq!(log.trim(), format!("serving as {first} good day"));
    assert_eq!(cluster.kubectl(&["logs", first, "-c", "first"]).unwrap(), "");
    // A command inside: its user, its root, its volumes, its network, its exit code.
    let exec = |script: &str| cluster.kubectl(&["exec", first, "-c", "web", "--", "sh", "-c", script]);
    assert_eq!(exec("id -u; cat /state/greeting /etc/settings/greeting").unwrap(), "1337\nhello\ngood day");
    assert!(exec("touch /etc/x").is_err(), "the root is read-only");
    let account = exec("cut -d. -f1 /var/run/secrets/kubernetes.io/serviceaccount/token | wc -c").unwrap();
    assert!(account.trim().parse::<u32>().unwrap() > 10, "{account}");
    assert!(exec("exit 7").unwrap_err().to_string().contains("exit code 7"));
    let mut typed = cluster.kubectl_command();
    typed.args(["exec", "-i", first, "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut typed = typed.spawn().unwrap();
    typed.stdin.take().unwrap().write_all(b"typed").unwrap();
    assert_eq!(typed.wait_with_output().unwrap().stdout, b"typed");

    forwarded(&cluster, first);
    by_websocket(&cluster, first);
    services(&cluster, (first, second));
    falls_out(&cluster, first);
    ends(&cluster, first);
}

/// A port of a pod is a port here.
fn forwarded(cluster: &Cluster, pod: &str) {
    let log = cluster.folder().join("port-forward.log");
    let mut command = cluster.kubectl_command();
    command.args(["port-forward", pod, ":8080"]);
    let _forward = Running::start("port-forward", &mut command, &log).unwrap();
    let asked = || {
        let said = std::fs::read_to_string(&log)?;
        let port = said.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).context("not yet")?;
        let answer = bed::http::get(([127, 0, 0, 1], port.parse()?).into(), pod, "/", &[])?;
        ensure!(answer.body.starts_with(&format!("{pod} 127.0.0.1 1337 1")), "{answer:?}");
        Ok(())
    };
    eventually("an answer by port-forward", PATIENCE, asked).unwrap();
}

/// Not only kubectl gets in: others speak WebSocket all the way.
fn by_websocket(cluster: &Cluster, pod: &str) {
    let (kubeconfig, pod) = (cluster.kubeconfig().to_owned(), pod.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = async {
        let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await?;
        let pods: kube::Api<Pod> = kube::Api::default_namespaced(kube::Client::try_from(config)?);
        let params = kube::api::AttachParams::default().container("web").stderr(false);
        let mut run = pods.exec(&pod, ["id", "-u"], &params).await?;
        let mut said = String::new();
        run.stdout().context("it has an output")?.read_to_string(&mut said).await?;
        ensure!(said == "1337\n", "{said:?}");
        let mut forward = pods.portforward(&pod, &[8080]).await?;
        let mut stream = forward.take_stream(8080).context("it has a stream")?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        ensure!(answer.contains(&format!("{pod} 127.0.0.1 1337 1")), "{answer}");
        anyhow::Ok(())
    };
    let done = runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await });
    done.expect("an answer in time").unwrap();
}

/// Pods reach Services by name and address, themselves included, and their own address is what is seen; the API server is one of them.
fn services(cluster: &Cluster, (first, second): (&str, &str)) {
    let script = "import urllib.request, time
for _ in range(8): print(urllib.request.urlopen('http://web.default.svc/').read().decode(), end='')
";
    let asked = || {
        let said = cluster.kubectl(&["exec", first, "--", "python3", "-c", script])?;
        ensure!(said.contains(first) && said.contains(second), "{said}");
        Ok(said)
    };
    let said = eventually("both pods by their Service", PATIENCE, asked).unwrap();
    let address = cluster.kubectl(&["get", "pod", first, "-o", "jsonpath={.status.podIP}"]).unwrap();
    let seen = said.lines().find(|line| line.starts_with(second)).unwrap();
    assert!(seen.contains(&format!(" {address} ")), "{seen} does not come from {address}");
    let script = "import ssl, urllib.request
account = '/var/run/secrets/kubernetes.io/serviceaccount/'
roots = ssl.create_default_context(cafile=account + 'ca.crt')
request = urllib.request.Request('https://kubernetes.default.svc/version', headers={'authorization': 'Bearer ' + open(account + 'token').read()})
print(urllib.request.urlopen(request, context=roots).read().decode())
";
    let said = cluster.kubectl(&["exec", first, "--", "python3", "-c", script]).unwrap();
    assert!(said.contains("v1.37.2"), "{said}");
    // From the node, and from whoever stands there.
    let address = cluster.kubectl(&["get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"]).unwrap();
    let address: std::net::Ipv4Addr = address.parse().unwrap();
    let answer = cluster.node().inside(move || bed::http::get((address, 80).into(), "web", "/", &[])).unwrap();
    assert!(answer.body.contains(&NODE.to_string()), "{answer:?}");
}

/// A failing readiness probe takes an endpoint out, and nothing is started again for it.
fn falls_out(cluster: &Cluster, pod: &str) {
    let counts = |wanted| {
        eventually("the endpoints", PATIENCE, || {
            let ready = ready(cluster)?;
            ensure!(ready.len() == wanted, "{ready:?}");
            Ok(())
        })
        .unwrap();
    };
    cluster.kubectl(&["exec", pod, "-c", "web", "--", "rm", "/state/ready"]).unwrap();
    counts(1);
    cluster.kubectl(&["exec", pod, "-c", "web", "--", "touch", "/state/ready"]).unwrap();
    counts(2);
    let restarts = ["get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount}"];
    assert_eq!(cluster.kubectl(&restarts).unwrap(), "0");
    // One whose program dies is started again.
    cluster.kubectl(&["exec", pod, "-c", "web", "--", "sh", "-c", "kill -TERM 1"]).unwrap();
    eventually("a container that was started again", PATIENCE, || {
        let count = cluster.kubectl(&restarts)?;
        ensure!(count == "1", "{count}");
        Ok(())
    })
    .unwrap();
    let previous = cluster.kubectl(&["logs", pod, "--previous"]).unwrap();
    assert!(previous.contains("ended"), "{previous}");
    counts(2);
}

/// A deleted pod is told, and has the time that it takes.
fn ends(cluster: &Cluster, pod: &str) {
    let log = cluster.folder().join("follow.log");
    let mut command = cluster.kubectl_command();
    command.args(["logs", "-f", pod]);
    let mut follow = Running::start("logs", &mut command, &log).unwrap();
    eventually("the log", PATIENCE, || {
        ensure!(std::fs::read_to_string(&log)?.contains("serving"), "nothing yet");
        Ok(())
    })
    .unwrap();
    let started = Instant::now();
    cluster.kubectl(&["delete", "pod", pod]).unwrap();
    let took = started.elapsed();
    // It lingers for 2 s, and need not be killed after 30 s.
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(20), "it took {took:?}");
    eventually("the end of the log", PATIENCE, || {
        ensure!(follow.check().is_err(), "it is followed on");
        Ok(())
    })
    .unwrap();
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("ending") && said.contains("ended"), "{said}");
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout", "60s"]).unwrap();
}

/// A root file system with a shell and little else.
fn image() -> PathBuf {
    let root = folder().join("image");
    for program in ["/bin/sh", "/bin/cat", "/bin/sleep", "/bin/touch"] {
        let needed = Command::new("ldd").arg(program).output().unwrap();
        let needed = String::from_utf8(needed.stdout).unwrap();
        let libraries = needed.split_whitespace().filter(|word| word.starts_with('/'));
        for file in libraries.chain([program]) {
            let to = root.join(file.trim_start_matches('/'));
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(std::fs::canonicalize(file).unwrap(), to).unwrap();
        }
    }
    root
}

/// Says in a file that it ends.
fn told(name: &str) -> String {
    format!(
        "trap 'echo {name} ended >> /order/all; exit 0' TERM; echo {name} began >> /order/all; touch /order/{name}; while :; do sleep 0.05; done"
    )
}

#[test]
fn side_cars_come_before_and_end_after_hooks_are_run_and_images_have_their_root() {
    if !need("side cars and hooks", obstacle()) {
        return;
    }
    let (order, mut options) = (folder(), Options::new(tools().unwrap()));
    let shell = Program::of(&["sh", "-c"]);
    let images = Images::default().with("shop/shell", Image::Program(shell.clone()));
    options.pods = Pods::Played(images.with("shop/image", Image::Program(shell.in_root(image()))));
    let cluster = Cluster::start(options).unwrap();
    let mount = json!([{ "name": "order", "mountPath": "/order" }]);
    let hook = |text: &str| json!({ "exec": { "command": ["sh", "-c", format!("{text} >> /order/all")] } });
    let proxy = json!({
        "name": "proxy", "image": "shop/shell", "args": [told("proxy")], "restartPolicy": "Always", "volumeMounts": mount,
        "startupProbe": { "exec": { "command": ["test", "-f", "/order/proxy"] }, "periodSeconds": 1 },
    });
    let first = json!({ "name": "first", "image": "shop/shell", "args": ["cat /order/all && echo first >> /order/all"], "volumeMounts": mount });
    let main = json!({
        "name": "main", "image": "shop/image:v1", "args": [told("main")], "volumeMounts": mount, "workingDir": "/work",
        "securityContext": { "runAsUser": 1337, "readOnlyRootFilesystem": true },
        "lifecycle": { "postStart": hook("sleep 0.3; echo started"), "preStop": hook("echo stopping") },
    });
    let rights = |name: &str, security: Value| {
        let script = format!("echo {name} $(sed -n 's/^CapEff:[[:space:]]*0*//p' /proc/self/status) >> /order/rights");
        json!({ "name": name, "image": "shop/shell", "args": [script], "volumeMounts": mount, "securityContext": security })
    };
    let added = json!({ "drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"] });
    let firsts = [
        proxy,
        first,
        rights("usual", json!({})),
        rights("few", json!({ "capabilities": added })),
        rights("nobody", json!({ "capabilities": added, "runAsUser": 1337 })),
    ];
    let second = json!({ "name": "second", "image": "shop/shell", "args": ["echo second >> /order/all; sleep 1000"], "volumeMounts": mount });
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "all" }, "spec": {
        "initContainers": firsts, "containers": [main, second], "terminationGracePeriodSeconds": 3,
        "volumes": [{ "name": "order", "hostPath": { "path": order } }],
    } });
    std::fs::set_permissions(&order, std::fs::Permissions::from_mode(0o777)).unwrap();
    for name in ["all", "rights"] {
        std::fs::write(order.join(name), "").unwrap();
        std::fs::set_permissions(order.join(name), std::fs::Permissions::from_mode(0o666)).unwrap();
    }
    cluster.apply(&pod.to_string()).unwrap();
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/all", "--timeout", "60s"]).unwrap();
    let exec = |script: &str| cluster.kubectl(&["exec", "all", "-c", "main", "--", "sh", "-c", script]);
    assert_eq!(exec("echo /*").unwrap().trim(), "/bin /dev /etc /lib /lib64 /order /proc /sys /var /work");
    assert!(exec("touch /new").is_err() && exec("command -v python3").is_err());
    let status = ["get", "pod", "all", "-o", "jsonpath={.status.initContainerStatuses[*].ready} {.status.phase}"];
    assert_eq!(cluster.kubectl(&status).unwrap(), "true true true true true Running");
    let before = ["get", "pod", "all", "-o", "jsonpath={.status.containerStatuses[*].lastState}"];
    assert_eq!(cluster.kubectl(&before).unwrap(), "{} {}", "nothing was started again");
    cluster.kubectl(&["delete", "pod", "all"]).unwrap();
    let said = std::fs::read_to_string(order.join("all")).unwrap();
    let rights = std::fs::read_to_string(order.join("rights")).unwrap();
    assert_eq!(rights.lines().collect::<Vec<_>>(), ["usual a80425fb", "few 3000", "nobody"]);
    let expected = "proxy began first main began started second stopping main ended proxy ended";
    assert_eq!(said.split_whitespace().collect::<Vec<_>>().join(" "), expected);
}

#[test]
fn jobs_are_done_and_volumes_follow() {
    if !need("jobs and volumes", obstacle()) {
        return;
    }
    let mut cluster = start();
    // It fails once, and its side car does not keep it.
    let script = "test -f /state/again || { touch /state/again; exit 3; }; echo done";
    let template = json!({ "spec": { "restartPolicy": "OnFailure",
        "initContainers": [{ "name": "aside", "image": "local/sleep", "args": ["1000"], "restartPolicy": "Always" }],
        "containers": [{ "name": "job", "image": "local/sh", "args": ["-c", script], "volumeMounts": [{ "name": "state", "mountPath": "/state" }] }],
        "volumes": [{ "name": "state", "emptyDir": {} }] } });
    let job = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "job" }, "spec": { "template": template } });
    let reader = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "reader", "labels": { "tier": "one" } }, "spec": {
        "containers": [{ "name": "reader", "image": "local/sleep", "args": ["1000"],
                         "volumeMounts": [{ "name": "all", "mountPath": "/all" }],
                         "resources": { "limits": { "cpu": "1500m", "memory": "64Mi" } },
                         "env": [{ "name": "CORES", "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu" } } },
                                 { "name": "ADDRESS", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } },
                                 { "name": "WORD", "value": "$(CORES)-$(NOBODY)" }] }],
        "volumes": [{ "name": "all", "projected": { "sources": [
            { "configMap": { "name": "late" } },
            { "downwardAPI": { "items": [{ "path": "labels", "fieldRef": { "fieldPath": "metadata.labels['tier']" } }] } },
            { "serviceAccountToken": { "path": "token", "audience": "istio-ca" } },
        ] } }] } });
    cluster.apply(&job.to_string()).unwrap();
    cluster.apply(&reader.to_string()).unwrap();
    // It waits for what it refers to, and says so.
    let waits = ["get", "pod", "reader", "-o", "jsonpath={.status.containerStatuses[0].state.waiting.message}"];
    eventually("a pod that waits", PATIENCE, || {
        let said = cluster.kubectl(&waits)?;
        ensure!(said.contains("configmap \"late\" not found"), "{said}");
        Ok(())
    })
    .unwrap();
    cluster.kubectl(&["create", "configmap", "late", "--from-literal", "word=one"]).unwrap();
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/reader", "--timeout", "60s"]).unwrap();
    let exec = |script: &str| cluster.kubectl(&["exec", "reader", "--", "sh", "-c", script]);
    let address = cluster.kubectl(&["get", "pod", "reader", "-o", "jsonpath={.status.podIP}"]).unwrap();
    let said = exec("cat /all/word /all/labels; echo; echo $CORES $ADDRESS $WORD").unwrap();
    assert_eq!(said, format!("oneone\n2 {address} 2-$(NOBODY)\n"));
    // The token is the pod's, for whom it was asked.
    let token = exec("cat /all/token").unwrap();
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": { "token": token, "audiences": ["istio-ca"] } });
    let file = cluster.folder().join("review.json");
    std::fs::write(&file, review.to_string()).unwrap();
    let review: Value =
        serde_json::from_str(&cluster.kubectl(&["create", "-o", "json", "-f", file.to_str().unwrap()]).unwrap())
            .unwrap();
    assert_eq!(review["status"]["user"]["username"], "system:serviceaccount:default:default");
    assert_eq!(review["status"]["user"]["extra"]["authentication.kubernetes.io/pod-name"], json!(["reader"]));
    cluster.kubectl(&["patch", "configmap", "late", "-p", "{\"data\":{\"word\":\"two\"}}"]).unwrap();
    cluster.kubectl(&["label", "pod", "reader", "--overwrite", "tier=two"]).unwrap();
    eventually("files that follow", PATIENCE, || {
        let said = exec("cat /all/word /all/labels")?;
        ensure!(said == "twotwo", "{said}");
        Ok(())
    })
    .unwrap();
    cluster.kubectl(&["wait", "--for=condition=Complete", "job/job", "--timeout", "60s"]).unwrap();
    // Nodes go on when the API server has been away.
    cluster.restart(Part::ApiServer).unwrap();
    cluster.kubectl(&["create", "deployment", "web", "--image", "local/sleep", "--", "sleep", "1000"]).unwrap();
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout", "60s"]).unwrap();
    assert_eq!(cluster.kubectl(&["get", "pod", "reader", "-o", "jsonpath={.status.phase}"]).unwrap(), "Running");
}

/// A webhook that marks what it sees.
const WEBHOOK: &str = r#"
import base64, http.server, json, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["content-length"])))
        patch = [{"op": "add", "path": "/data", "value": {"seen": self.path}}]
        text = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
            "uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch",
            "patch": base64.b64encode(json.dumps(patch).encode()).decode()}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
server = http.server.ThreadingHTTPServer(("", 9443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/certs/tls.crt", "/certs/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

#[test]
fn the_api_server_calls_a_webhook_in_a_pod() {
    if !need("webhooks in pods", obstacle()) {
        return;
    }
    let cluster = start();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["hook.default.svc".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let objects = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "hook" },
          "stringData": { "tls.crt": certificate, "tls.key": key.serialize_pem() } },
        { "apiVersion": "v1", "kind": "Service", "metadata": { "name": "hook" },
          "spec": { "selector": { "app": "hook" }, "ports": [{ "port": 443, "targetPort": 9443 }] } },
        { "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "hook", "labels": { "app": "hook" } }, "spec": {
            "containers": [{ "name": "hook", "image": "shop/hook", "volumeMounts": [{ "name": "certs", "mountPath": "/certs" }],
                             "readinessProbe": { "tcpSocket": { "port": 9443 }, "periodSeconds": 1 } }],
            "volumes": [{ "name": "certs", "secret": { "secretName": "hook" } }] } },
    ] });
    cluster.apply(&objects.to_string()).unwrap();
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/hook", "--timeout", "60s"]).unwrap();
    let bundle = cluster.kubectl(&["get", "secret", "hook", "-o", "jsonpath={.data.tls\\.crt}"]).unwrap();
    let hook = json!({ "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": "hook" }, "webhooks": [{
            "name": "hook.shop.example", "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Fail",
            "clientConfig": { "caBundle": bundle, "service": { "name": "hook", "namespace": "default", "path": "/mark" } },
            "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"] }],
        }] });
    cluster.apply(&hook.to_string()).unwrap();
    // The API server hears of webhooks and endpoints a little later.
    eventually("an object that the webhook has marked", PATIENCE, || {
        cluster.kubectl(&["delete", "configmap", "marked", "--ignore-not-found"])?;
        cluster.kubectl(&["create", "configmap", "marked"])?;
        let seen = cluster.kubectl(&["get", "configmap", "marked", "-o", "jsonpath={.data.seen}"])?;
        ensure!(seen.starts_with("/mark"), "{seen:?}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn pods_of_paper_are_many_and_cheap() {
    if !need("pods of paper", tools().err()) {
        return;
    }
    // Without network and privileges.
    let mut options = Options::new(tools().unwrap());
    options.pods = Pods::Played(Images::paper());
    let cluster = Cluster::start(options).unwrap();
    let deployment = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" }, "spec": {
        "replicas": 200, "selector": { "matchLabels": { "app": "web" } },
        "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "web", "image": "web" }] } },
    } });
    cluster.apply(&deployment.to_string()).unwrap();
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout", "120s"]).unwrap();
    let get = ["get", "pods", "-o", "jsonpath={.items[*].status.podIP}"];
    let addresses = cluster.kubectl(&get).unwrap();
    let addresses: std::collections::BTreeSet<&str> = addresses.split_whitespace().collect();
    assert_eq!(addresses.len(), 200);
    cluster.kubectl(&["scale", "deployment/web", "--replicas", "0"]).unwrap();
    eventually("no pods", PATIENCE, || {
        let left = cluster.kubectl(&["get", "pods", "-o", "name"])?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
    .unwrap();
}
