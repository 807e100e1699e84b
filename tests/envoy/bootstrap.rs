//! Envoy takes the agent's bootstrap, whatever goes into it.

use std::process::Command;

use tests::need;
use tests::plane::folder;

const TRACING: &str = "{tracing: {zipkin: {address: 'zipkin.obs:9411'}}, envoyMetricsService: {address: 'metrics.obs:15000', \
                       tlsSettings: {mode: ISTIO_MUTUAL}, tcpKeepalive: {time: 10s, probes: 3}}, envoyAccessLogService: {address: \
                       'logs.obs:15000', tlsSettings: {mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /r}}, \
                       statsdUdpAddress: '127.0.0.1:8125', extraStatTags: [a], runtimeValues: {x: 'true'}}";

#[test]
fn envoy_takes_the_bootstrap() {
    let envoy = super::envoy();
    if !need("bootstrap: Envoy takes it", envoy.clone().err()) {
        return;
    }
    let envoy = envoy.unwrap();
    let cases: [(&str, &[(&str, &str)]); 6] = [
        ("sidecar --ip 10.0.0.5", &[]),
        ("router --ip fd00::5 --log_as_json", &[]),
        ("waypoint --ip 10.0.0.5 --ip fd00::5", &[("ISTIO_DUAL_STACK", "true"), ("ISTIO_DELTA_XDS", "false")]),
        ("sidecar --ip 10.0.0.5", &[("PROXY_CONFIG", TRACING)]),
        (
            "sidecar --ip 10.0.0.5",
            &[("PROXY_CONFIG", "tracing: {datadog: {address: 'd:8126'}, tlsSettings: {mode: SIMPLE}}")],
        ),
        (
            "sidecar --ip 10.0.0.5 --outlierLogPath /dev/stdout",
            &[
                ("ENVOY_SECURE_METRICS_PORT", "15091"),
                ("ENVOY_SECURE_MERGED_METRICS_PORT", "15092"),
                ("ISTIO_META_ENABLE_SELF_DISCOVERY", "true"),
                ("ENVOY_STATUS_PORT_ENABLE_PROXY_PROTOCOL", "true"),
                ("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "true"),
            ],
        ),
    ];
    for (flags, environment) in cases {
        let mut command = Command::new(super::agent());
        command.arg("bootstrap").args(flags.split(' ')).env_clear();
        command.envs([("POD_NAME", "web-1"), ("POD_NAMESPACE", "shop")]).envs(environment.iter().copied());
        let out = command.output().unwrap();
        assert!(out.status.success(), "{flags}: {}", String::from_utf8_lossy(&out.stderr));
        let file = folder().join("bootstrap.json");
        std::fs::write(&file, &out.stdout).unwrap();
        let judged = Command::new(&envoy).args(["--mode", "validate", "-c"]).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&judged.stderr);
        assert!(judged.status.success(), "{flags} {environment:?}: {said}");
    }
}
