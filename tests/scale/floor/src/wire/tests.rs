use super::*;

#[test]
fn a_response_is_as_long_as_it_should_be() {
    for variant in [Variant::Delta, Variant::Sotw] {
        for bytes in [300, 1024, 4096, 100_000, 1 << 20] {
            let long = response(variant, CLUSTERS, "p12", bytes).len();
            // A length in front may take one byte less than its guess.
            assert!(bytes.abs_diff(long) <= 4, "{long} for {bytes}");
        }
        let least = response(variant, LISTENERS, "1", 0).len();
        assert_eq!(response(variant, LISTENERS, "1", least - 1).len(), least, "no less than one resource");
    }
}

#[test]
fn requests_are_read_and_what_is_not_known_is_stepped_over() {
    let mut message = BytesMut::new();
    text(&mut message, 1, b"a node");
    text(&mut message, 2, CLUSTERS.as_bytes());
    text(&mut message, 3, b"*");
    number(&mut message, 9 << 3);
    number(&mut message, 300);
    text(&mut message, 6, b"p7");
    let request = read(&message, Variant::Delta).unwrap();
    assert_eq!(request, Request { kind: CLUSTERS.to_owned(), nonce: "p7".to_owned() });
    assert_eq!(read(&message[..message.len() - 1], Variant::Delta), None);
}

#[test]
fn messages_come_whole_or_not_at_all() {
    let framed = response(Variant::Delta, CLUSTERS, "p1", 500);
    let mut buffer = BytesMut::from(&framed[..framed.len() - 1]);
    assert_eq!(take(&mut buffer), Ok(None));
    buffer.put_u8(framed[framed.len() - 1]);
    buffer.put_slice(&framed[..3]);
    assert_eq!(take(&mut buffer), Ok(Some(framed.slice(5..))));
    assert_eq!((take(&mut buffer), buffer.len()), (Ok(None), 3));
    assert!(take(&mut BytesMut::from(&[1, 0, 0, 0, 0][..])).is_err());
}
