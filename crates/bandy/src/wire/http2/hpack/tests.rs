use proptest::prelude::*;

use super::*;

type Fields = Vec<(String, String)>;

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, WrongHead> {
    let mut fields = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    decoder.decode(block, 1 << 16, |name, value| {
        fields.push((text(name), text(value)));
    })?;
    Ok(fields)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16);
    digits
        .chunks(2)
        .map(|pair| byte(pair).expect("hex"))
        .collect()
}

/// Appendix C.5 and C.6: the same three answers, without and with Huffman's code, in a table of 256 bytes.
#[test]
fn answers_as_the_rfc_has_them() {
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    let huffman = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    for answers in [plain, huffman] {
        let mut decoder = Decoder::default();
        decoder.table.resize(256);
        let mut seen = Vec::new();
        for answer in answers {
            seen.push(decode(&mut decoder, &hex(answer)).expect("a head"));
        }
        let status: Vec<&str> = seen.iter().map(|fields| fields[0].1.as_str()).collect();
        assert_eq!(status, ["302", "307", "200"]);
        let has = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert!(seen[1].contains(&has("location", "https://www.example.com")));
        assert_eq!(
            seen[2][5],
            has(
                "set-cookie",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
            )
        );
        assert_eq!(
            decoder.table.field(64),
            Some((&b"date"[..], &b"Mon, 21 Oct 2013 20:13:22 GMT"[..]))
        );
    }
}

#[test]
fn heads_that_cannot_be_read() {
    for (block, wrong) in [
        (&[0x80][..], WrongHead::Index),
        (&[0xff, 0x80, 0x01], WrongHead::Index),
        (&[0xbe], WrongHead::Index),
        (&[0x7f], WrongHead::Short),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], WrongHead::Number),
        (&[0x40, 0x05, b'a'], WrongHead::Short),
        (&[0x40, 0x7f, 0xff, 0xff, 0x7f], WrongHead::TooLong),
        (&[0x40, 0x81, 0xff, 0x00], WrongHead::Huffman),
        (&[0x3f, 0xff, 0x7f], WrongHead::Size),
        (&[0x82, 0x20], WrongHead::Size),
    ] {
        assert_eq!(
            decode(&mut Decoder::default(), block),
            Err(wrong),
            "{block:x?}"
        );
    }
    let mut decoder = Decoder::default();
    let long = decoder.decode(&[0x82; 10], 100, |_, _| {});
    assert_eq!(long, Err(WrongHead::TooLong));
}

#[test]
fn what_is_said_again_is_an_index() {
    let fields = [
        (&b":method"[..], &b"GET"[..]),
        (b":path", b"/add?a=5&b=3"),
        (b"x-own", b"value"),
    ];
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    let mut lengths = Vec::new();
    for _ in 0..3 {
        let mut out = Vec::new();
        encoder.encode(fields, true, &mut out);
        let told = decode(&mut decoder, &out).expect("a head");
        assert_eq!(told[1], (":path".to_owned(), "/add?a=5&b=3".to_owned()));
        lengths.push((out.len(), encoder.age()));
    }
    assert_eq!(lengths[1], (3, 2));
    assert_eq!(lengths[2], lengths[1]);
    // A table that is not there any more is not used, and the other side is told.
    encoder.resize(0);
    let mut out = Vec::new();
    encoder.encode(fields, true, &mut out);
    assert_eq!(out[0], 0x20);
    assert_eq!(decode(&mut decoder, &out).expect("a head").len(), 3);
}

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof!["[a-z]{1,12}", Just("cookie".to_owned()), ":[a-z]{1,6}"];
    prop::collection::vec((name, "[ -~]{0,60}"), 0..8)
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        heads in prop::collection::vec((fields(), any::<bool>(), prop::collection::vec(0_usize..5000, 0..3)), 1..20),
    ) {
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        for (head, learn, sizes) in heads {
            sizes.into_iter().for_each(|size| encoder.resize(size));
            let mut out = Vec::new();
            let pairs = head.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            encoder.encode(pairs, learn, &mut out);
            prop_assert_eq!(decode(&mut decoder, &out), Ok(head));
        }
    }

    #[test]
    fn never_panics(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4)) {
        let mut decoder = Decoder::default();
        for block in blocks {
            let _ = decoder.decode(&block, 1000, |name, value| assert!(name.len() + value.len() <= 1000));
        }
    }
}
