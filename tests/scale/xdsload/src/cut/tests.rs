use super::*;

/// A message of these fields: a number, and bytes.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (number, bytes) in fields {
        body.push(number << 3 | 2);
        let length = bytes.len();
        assert!(length < 1 << 14);
        if length < 128 {
            body.push(length as u8);
        } else {
            body.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
        }
        body.extend_from_slice(bytes);
    }
    body
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0], &length[..], body].concat()
}

fn pieces(bytes: &[u8], chunk: usize) -> Result<Vec<Piece>, Malformed> {
    let (mut cutter, mut all) = (Cutter::default(), Vec::new());
    for part in bytes.chunks(chunk) {
        cutter.push(Bytes::copy_from_slice(part));
        while let Some(piece) = cutter.next()? {
            all.push(piece);
        }
    }
    Ok(all)
}

#[test]
fn however_the_bytes_come_the_fields_are_the_same() {
    let long = vec![7; 300];
    let mut first = message(&[(2, &long), (4, b"type"), (2, b"")]);
    // A number of two bytes, and a fixed one.
    first.extend([3 << 3, 0x80, 0x01, 9 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8]);
    let second = message(&[(5, b"nonce")]);
    let bytes = [framed(&first), framed(&[]), framed(&second)].concat();
    let expected = vec![
        Piece::Field(2, Bytes::from(long)),
        Piece::Field(4, Bytes::from_static(b"type")),
        Piece::Field(2, Bytes::new()),
        Piece::Field(3, Bytes::new()),
        Piece::Field(9, Bytes::new()),
        Piece::End(first.len()),
        Piece::End(0),
        Piece::Field(5, Bytes::from_static(b"nonce")),
        Piece::End(second.len()),
    ];
    for chunk in 1..=bytes.len() {
        assert_eq!(pieces(&bytes, chunk).as_ref(), Ok(&expected), "in chunks of {chunk}");
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let compressed = [&[1], &framed(b"")[1..]].concat();
    let endless = [0, 0xff, 0xff, 0xff, 0xff];
    let beyond = framed(&[2 << 3 | 2, 9, 1]);
    let half = framed(&[2 << 3 | 2]);
    let group = framed(&[2 << 3 | 3]);
    for bytes in [&compressed[..], &endless, &beyond, &half, &group] {
        for chunk in [1, bytes.len()] {
            assert!(pieces(bytes, chunk).is_err(), "{bytes:?}");
        }
    }
}
