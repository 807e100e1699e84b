use super::*;

fn judged(name: &str, value: &str) -> Result<Vec<String>, String> {
    check(&[(name.to_owned(), value.to_owned())].into()).map_err(|error| error.to_string())
}

#[test]
fn values_that_cannot_be_done_are_refused_with_their_place() {
    let wrong = [
        (INTERCEPTION, "redirect"),
        (STATUS_PORT, "70000"),
        (READY_PERIOD, "-1"),
        (READY_DELAY, "+1"),
        (IN_RANGES, "10.0.0.0"),
        (IN_RANGES, "*,10.0.0.0/8"),
        (EX_RANGES, "*"),
        (EX_RANGES, "10.0.0.0/33"),
        (EX_RANGES, "10.0.0.0/08"),
        (IN_INBOUND, "80,http"),
        (EX_INBOUND, "*"),
        (EX_OUTBOUND, "80,,90"),
        (EX_INTERFACES, "eth0,"),
        (REROUTE, "averyveryverylongname"),
        (KUBEVIRT, "0eth"),
        (MERGE_METRICS, "maybe"),
        (CONFIG, "concurrency: many"),
        (CONFIG, "{"),
        (CPU, "lots"),
        (MEMORY, "1Mb"),
        (CPU_LIMIT, ""),
        (MEMORY_LIMIT, "1\n"),
        (USER_VOLUME, "[]"),
        (USER_MOUNT, "x"),
    ];
    for (name, value) in wrong {
        let error = judged(name, value).unwrap_err();
        assert!(error.starts_with(&format!("metadata.annotations.{name}: ")), "{name}={value}: {error}");
    }
}

#[test]
fn good_values_pass() {
    let good = [
        (INTERCEPTION, "NONE"),
        (STATUS_PORT, "0"),
        (READY_FAILURES, "300"),
        (IN_RANGES, "*"),
        (IN_RANGES, ""),
        (EX_RANGES, "10.0.0.0/8,fd00::/8"),
        (IN_INBOUND, "*"),
        (EX_INBOUND, "80, 90"),
        (EX_OUTBOUND, ""),
        (EX_INTERFACES, "eth0,net1.10"),
        (MERGE_METRICS, "F"),
        (CONFIG, "{concurrency: 2, proxyMetadata: {A: b}}"),
        (CPU, "100m"),
        (CPU, "0.5"),
        (MEMORY, "128Mi"),
        (MEMORY, "1e9"),
        (USER_VOLUME, "{\"v\":{\"emptyDir\":{}}}"),
        ("example.com/any", "thing"),
    ];
    for (name, value) in good {
        assert_eq!(judged(name, value), Ok(Vec::new()), "{name}={value}");
    }
}

#[test]
fn values_that_do_nothing_are_told() {
    for (name, value) in
        [(IN_OUTBOUND, "http"), (NATIVE, "yes"), (REWRITE_PROBES, "on"), (IMAGE, "mine"), (READY_PORTS, "x")]
    {
        let told = judged(name, value).unwrap();
        assert_eq!(told.len(), 1, "{name}={value}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let both = [(CPU.to_owned(), "x".to_owned()), (STATUS_PORT.to_owned(), "y".to_owned())].into();
    let error = check(&both).unwrap_err();
    assert_eq!(error.faults().len(), 2);
}
