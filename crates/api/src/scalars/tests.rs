use super::*;

#[test]
fn durations_read_as_go_reads_them() {
    let millis = |text| Duration::parse(text).map(|duration| duration.std().as_millis());
    assert_eq!(millis("5s"), Ok(5_000));
    assert_eq!(millis("1h30m"), Ok(5_400_000));
    assert_eq!(millis("0.5s"), Ok(500));
    assert_eq!(millis("1m0.25s"), Ok(60_250));
    assert_eq!(millis("100ms"), Ok(100));
    assert_eq!(millis("0s"), Ok(0));
    for bad in ["", "5", "s", "5 s", "-1s", "1x", "five"] {
        assert!(millis(bad).is_err(), "{bad}");
    }
}
